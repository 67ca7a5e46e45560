"""The layers of a network by name, and a model that is looked at without being changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain

import torch
from torch import nn

from neocog.errors import ModelError
from neocog.kernels.context import using
from neocog.models.scaling import ScaledNetwork
from neocog.models.trace import evaluating

_MOST_NAMES = 40


def plain_network(model: nn.Module) -> nn.Module:
    """Give the network itself, whose layers have the names that users know, without a scaling in front."""
    return model.network if isinstance(model, ScaledNetwork) else model


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Give the module called `name` within the network; raises `ModelError` naming those that exist."""
    modules = dict(plain_network(model).named_modules())
    found: nn.Module | None = modules.get(name) if name else None
    if found is not None:
        return found
    raise ModelError(unknown_layer(name, [known for known in modules if known]))


def unknown_layer(name: str, names: Sequence[str]) -> str:
    """Say that no layer is called `name`, and which there are."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.7)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    rest = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"no layer is called {name!r}.{meant} There are {', '.join(names[:_MOST_NAMES])}{rest}."


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluate the model layer by layer, in the precision of its weights; afterwards it is as it was before."""
    device = device_of(model)
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(_buffers_kept(model))
        stack.enter_context(using("off"))
        if torch.amp.is_autocast_available(device.type):
            stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cuda":
            stack.enter_context(_whole_float32())
        yield


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    # A layer may write into its buffers even in evaluation mode, or put others in their place.
    kept = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, name, buffer, before in kept:
            module._buffers[name] = buffer
            if not torch.equal(buffer, before):
                with torch.no_grad():
                    buffer.copy_(before)


@contextmanager
def _whole_float32() -> Iterator[None]:
    # A GPU may round the factors of convolutions to 10 bits (TF32), which no arithmetic on paper would repeat.
    cudnn, matmul = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn, matmul


def dtype_of(model: nn.Module) -> torch.dtype:
    """Give the type of the pixels that the model takes: that of its weights; float32 where it has none, or a scaling in
    front."""
    weights = () if isinstance(model, ScaledNetwork) else model.parameters()
    return next((weight.dtype for weight in weights if weight.is_floating_point()), torch.float32)


def device_of(model: nn.Module) -> torch.device:
    """Give the device that the model's weights lie on; the CPU where it has none."""
    some = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if some is None else some.device
