"""From a name, a text or a Python path to a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import nn

from neocog.errors import ModelError
from neocog.kernels.fuse import fuse
from neocog.models.catalogue import Entry
from neocog.models.efficientnet import efficientnet_lite0
from neocog.models.initial import glorot, lecun_1998
from neocog.models.network import NotationNetwork
from neocog.models.pieces import CutNetwork
from neocog.models.reference import PythonPath, call, load, resolve
from neocog.models.resnet import resnet18, resnet34, resnet50
from neocog.models.vgg import vgg
from neocog.notation import Network, check_shape, parse

Init: TypeAlias = Literal["default", "glorot", "lecun-1998"]
Shape: TypeAlias = tuple[int, int, int]

# What is done to each module of a network; the default is what the modules do themselves.
_INITIAL: Mapping[Init, Callable[[nn.Module], None]] = {"glorot": glorot, "lecun-1998": lecun_1998}
# Made from (channels, number of classes).
_PUBLISHED: Mapping[str, Callable[[int, int], nn.Module]] = {
    "efficientnet-lite0": efficientnet_lite0,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    **{f"vgg{depth}": partial(vgg, depth) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}-bn": partial(vgg, depth, batch_norm=True) for depth in (11, 13, 16, 19)},
}
# Those that fused blocks make faster.
_FUSED: frozenset[str] = frozenset()


def build(
    model: str | Network | nn.Module | Callable[..., nn.Module],
    input_shape: Sequence[int],
    num_classes: int | None = None,
    *,
    init: Init = "default",
    seed: int | None = None,
) -> nn.Module:
    """Build a network for images of `input_shape` (C, H, W); it gives logits, float (N, num_classes).

    Args:
        model: a name (`neocog.models.catalogue`), also with the layer after which it is cut and gets a new head
            (`resnet18[:layer2.1]`), a network in the notation (text or parsed), a Python path
            such as `mypackage.nets:build` (the current directory is looked through first), a function or
            class, which is called with `input_shape` and `num_classes` where it takes them, or a module,
            given back as it is.
        input_shape: one image, channels first.
        num_classes: needed where the text says `linear classes`. Without it a named network has its usual
            number.
        init: the initial weights of a network that is named or written: "default" is PyTorch's for the
            notation and the published scheme for the named torch networks; "glorot" is Glorot uniform for the
            weights and zero for the biases of convolutions and linear layers; "lecun-1998" is uniform within
            plus and minus 2.4 / fan-in for weights and biases, those of `subsample` too. The user's own code and
            modules keep theirs.
        seed: draw the initial weights from this seed, and leave the user's random generator as it was.
            Without it they come from the user's generator. Named and written networks are built on the CPU
            (or on "meta" where that is the default device), so that a seed gives the same weights for every
            device.

    Raises:
        ModelError: no such network, a Python path that cannot be used, or images that are too small.
        NotationError: a network that cannot be read or does not fit; a shape that is not (C, H, W).
    """
    if isinstance(model, nn.Module):
        return model
    shape = check_shape(input_shape)
    _check(num_classes, init)
    meant = resolve(model) if isinstance(model, str) else model
    with _seeded(seed):
        if isinstance(meant, PythonPath):
            return _own(load(meant), str(meant), shape, num_classes)
        if not isinstance(meant, Entry | Network):
            return _own(meant, getattr(meant, "__qualname__", repr(meant)), shape, num_classes)
        with _plain_device():
            network = _written(meant, shape, num_classes)
            if init in _INITIAL:
                network.apply(_INITIAL[init])
    return network


def _check(num_classes: object, init: str) -> None:
    if num_classes is not None and (
        not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 1
    ):
        raise ModelError(f"num_classes is a whole number of at least 1, not {num_classes!r}.")
    if init not in get_args(Init):
        raise ModelError(f"init is one of {', '.join(map(repr, get_args(Init)))}, not {init!r}.")


def _written(meant: Entry | Network, shape: Shape, num_classes: int | None) -> nn.Module:
    if isinstance(meant, Network):
        return NotationNetwork(meant, shape, num_classes)
    classes = meant.num_classes if num_classes is None else num_classes
    network = _named(meant, shape, classes)
    return network if meant.cut is None else CutNetwork(network, meant.cut, shape, classes)


def _named(meant: Entry, shape: Shape, classes: int) -> nn.Module:
    if meant.notation is not None:
        return NotationNetwork(parse(meant.notation), shape, classes)
    if min(shape[1:]) < meant.minimum_size:
        raise ModelError(
            f"{meant.name} needs images of at least {meant.minimum_size}x{meant.minimum_size} pixels, "
            f"not {shape[1]}x{shape[2]}. Give a larger image_size, or take a network such as 'small-cnn'."
        )
    network = _PUBLISHED[meant.name](shape[0], classes)
    return fuse(network) if meant.name in _FUSED else network


def _own(maker: Any, name: str, shape: Shape, num_classes: int | None) -> nn.Module:
    """Give the module that the user's own code makes."""
    if isinstance(maker, nn.Module):
        return maker
    if not callable(maker):
        raise ModelError(f"{name} is of type {type(maker).__name__}; expected a function that gives a torch.nn.Module.")
    offered: dict[str, object] = {"input_shape": shape}
    if num_classes is not None:
        offered["num_classes"] = num_classes
    made = call(maker, name, offered)
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"{name} gave an object of type {type(made).__name__}; expected a torch.nn.Module. "
            "Let it return the network."
        )
    return made


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the accelerators, whose generators are not forked here.
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def _plain_device() -> Iterator[None]:
    with torch.device("meta" if torch.get_default_device().type == "meta" else "cpu"):
        yield
