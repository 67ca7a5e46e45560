"""What happens in a forward pass, layer by layer, of any module at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from neocog.errors import ModelError
from neocog.models.lenet import EuclideanRBF, Subsample, TableConv2d
from neocog.models.network import FlattenView
from neocog.notation import LayerShape


@dataclass(frozen=True)
class TracedLayer:
    """One call of one layer, for a batch of one image.

    `input_shape` and `output_shape` have no batch dimension and are None for a layer that holds parameters but was not
    called, or that took or gave no tensor. A layer that is called again is there again, without its parameters.
    `parameters`, `trainable` and `macs` are counts; `activation_bytes` and `parameter_bytes` are as stored.
    """

    name: str
    text: str
    output_shape: tuple[int, ...] | None
    parameters: int
    trainable: int
    macs: int
    activation_bytes: int
    parameter_bytes: int
    called: bool
    input_shape: tuple[int, ...] | None = None

    def is_still(self, written: LayerShape) -> bool:
        """Whether the layer is what the notation says; one exchanged after the network was built may not be."""
        return (written.output_shape, written.parameters) == (self.output_shape, self.parameters)


def trace(model: nn.Module, input_shape: tuple[int, ...]) -> list[TracedLayer]:
    """Run one image of zeros, shape `input_shape` (C, H, W), through `model` and list the calls of its
    layers.

    A layer is a module without children or with parameters of its own. Runs in evaluation mode and leaves the
    module as it was: training flags, buffers, gradients, hooks and the random generators. A module on the
    device "meta" is traced there, without memory. The parameters of all entries add up to those of `model`.
    Raises `ModelError` where the module has uninitialised (lazy) parameters or cannot take the input.
    """
    _refuse_lazy(model)
    counted: set[int] = set()
    layers: list[TracedLayer] = []

    def record(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            made = _layer(name, module, first_tensor(output), _own_parameters(module, counted), called=True)
            came = first_tensor(inputs)
            layers.append(made if came is None else replace(made, input_shape=tuple(came.shape[1:])))

        return hook

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if is_layer(module):
                stack.callback(module.register_forward_hook(record(name)).remove)
        stack.enter_context(evaluating(model))
        _run(model, input_shape)
    for name, module in model.named_modules():
        rest = _own_parameters(module, counted)
        if rest:
            layers.append(_layer(name, module, None, rest, called=False))
    return layers


def _run(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    some = next((p for p in model.parameters() if p.is_floating_point()), None)
    device = torch.device("cpu") if some is None else some.device
    image = torch.zeros((1, *input_shape), device=device, dtype=torch.float32 if some is None else some.dtype)
    # A layer may write into its buffers even in evaluation mode; it gets copies.
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            functional_call(model, buffers, (image,))
    except ModelError:
        raise
    except Exception as error:
        shape = "x".join(map(str, input_shape))
        raise ModelError(
            f"{type(model).__name__} cannot take an image of {shape}: {error}. "
            "Give the input shape CxHxW that the network was made for."
        ) from error


def is_layer(module: nn.Module) -> bool:
    """Whether a module works itself: it has no parts, or parameters of its own."""
    return _is_leaf(module) or any(True for _ in module.parameters(recurse=False))


def module_text(module: nn.Module) -> str:
    """Write a module on one line: whole where it has no parts, else the name of its class."""
    return " ".join(str(module).split()) if _is_leaf(module) else type(module).__name__


def first_tensor(value: object) -> Tensor | None:
    """Give the first tensor of what a module took or gave: itself, or in tuples, lists and mappings, however deep."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((tensor for tensor in map(first_tensor, value) if tensor is not None), None)
    return None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set every module to evaluation; afterwards each has the training flag that it had."""
    # The flags are set directly: a train() or eval() of the user's own may do more than that.
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, flag in flags:
            module.training = flag


def _is_leaf(module: nn.Module) -> bool:
    return not any(True for _ in module.children())


def _refuse_lazy(model: nn.Module) -> None:
    lazy = [name for name, tensor in [*model.named_parameters(), *model.named_buffers()] if is_lazy(tensor)]
    if lazy:
        raise ModelError(
            f"{type(model).__name__} has parameters without a shape, such as {lazy[0]}. "
            "Run one batch through the lazy module first."
        )


def _own_parameters(module: nn.Module, counted: set[int]) -> list[nn.Parameter]:
    """Give the parameters of the module itself that no layer before has counted, and count them."""
    own = [p for p in module.parameters(recurse=False) if id(p) not in counted]
    counted.update(map(id, own))
    return own


def _layer(
    name: str, module: nn.Module, output: Tensor | None, parameters: list[nn.Parameter], *, called: bool
) -> TracedLayer:
    return TracedLayer(
        name=name or type(module).__name__,
        text=module_text(module),
        output_shape=None if output is None else tuple(output.shape[1:]),
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        macs=0 if output is None else _macs(module, output),
        activation_bytes=0 if output is None or isinstance(module, FlattenView) else output.nbytes,
        parameter_bytes=sum(p.numel() * p.element_size() for p in parameters),
        called=called,
    )


def _macs(module: nn.Module, output: Tensor) -> int:
    """Count the multiplications with weights that make `output`: those of convolutions and linear layers.

    Of the original LeNet-5 the coefficients of the subsampling and the squares of the RBF units count too.
    """
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return output.numel() * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, TableConv2d):
        return output.numel() // len(module.table) * module.weight.numel()
    if isinstance(module, Subsample):
        return output.numel()
    if isinstance(module, EuclideanRBF):
        return output.numel() * module.targets.shape[1]
    return 0
