"""The layers of any module with their arithmetic written out, as far as the notation has a word for them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from torch import nn

from neocog.errors import NotationError
from neocog.models.network import GlobalAverage, NotationNetwork, ScaledTanh
from neocog.models.trace import TracedLayer, trace
from neocog.notation import (
    Activation,
    ActivationKind,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    parse,
    shape_text,
    why,
)

_ACTIVATIONS: dict[type[nn.Module], ActivationKind] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    ScaledTanh: "scaledtanh",
    nn.Sigmoid: "sigmoid",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
}


def module_layers(model: nn.Module, input_shape: tuple[int, int, int]) -> list[tuple[str, str]]:
    """Write out each layer that one image of `input_shape` (C, H, W) passes: (name, text) in forward order.

    A layer that is what the notation of its network says has its receptive field as well. Raises `ModelError` as
    `trace` does.
    """
    traced = trace(model, input_shape)
    written = {}
    if isinstance(model, NotationNetwork):
        written = {layer.name: layer for layer in parse(model.notation).shapes(input_shape, model.num_classes)}
    found = []
    for layer in traced:
        known = written.get(layer.name)
        same = known is not None and (known.output_shape, known.parameters) == (layer.output_shape, layer.parameters)
        text = why(known) if known is not None and same else _text(layer, _submodule(model, layer.name))
        found.append((layer.name, text))
    return found


def as_layer(module: nn.Module) -> Layer | None:
    """The word of the notation that computes what a module does; None where there is none."""
    if type(module) in _ACTIVATIONS:
        return Activation(_ACTIVATIONS[type(module)])
    read = _READERS.get(type(module))
    try:
        return None if read is None else read(module)
    except NotationError:
        return None


def _conv(module: nn.Conv2d) -> Conv | None:
    if module.padding_mode != "zeros":
        return None
    padding = {"same": "same", "valid": (0, 0)}.get(module.padding) if isinstance(module.padding, str) else None
    return Conv(
        channels=module.out_channels,
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_pair(module.padding) if padding is None else padding,  # type: ignore[arg-type]
        dilation=_pair(module.dilation),
        groups=module.groups,
        bias=module.bias is not None,
    )


def _max_pool(module: nn.MaxPool2d) -> MaxPool | None:
    if module.ceil_mode or _pair(module.dilation) != (1, 1):
        return None
    return MaxPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


def _average_pool(module: nn.AvgPool2d) -> AvgPool | None:
    if module.ceil_mode or not module.count_include_pad or module.divisor_override is not None:
        return None
    return AvgPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


_READERS: dict[type[nn.Module], Callable[..., Layer | None]] = {
    nn.Conv2d: _conv,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.Linear: lambda module: Linear(module.out_features, bias=module.bias is not None),
    nn.BatchNorm2d: lambda module: BatchNorm() if module.affine else None,
    nn.BatchNorm1d: lambda module: BatchNorm() if module.affine else None,
    nn.Dropout: lambda module: Dropout(module.p),
    nn.Flatten: lambda module: Flatten() if (module.start_dim, module.end_dim) == (1, -1) else None,
    GlobalAverage: lambda module: GlobalAvgPool(),
}


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _submodule(model: nn.Module, name: str) -> nn.Module | None:
    # A model that is a layer itself is traced under the name of its class.
    return dict(model.named_modules()).get(name)


def _text(traced: TracedLayer, module: nn.Module | None) -> str:
    came, made = traced.input_shape, traced.output_shape
    title = traced.text
    lines = [("input", "not called as a layer" if came is None else shape_text(came))]
    notes = []
    layer = None if module is None else as_layer(module)
    if layer is None or came is None or made is None or not _computes(layer, traced):
        lines += [
            ("output", "none" if made is None else shape_text(made)),
            ("parameters", _parameters(traced, module)),
            ("MACs", f"{traced.macs:,}" if traced.macs else "not counted" if traced.parameters else "none"),
        ]
    else:
        # The word has all settings in it, and reads the same with every version of torch.
        title, reason, note = type(module).__name__, layer.reason(came), layer.note(came)
        notes = [note] if note else []
        lines += [
            ("notation", str(layer)),
            ("output", reason.output),
            ("parameters", reason.parameters or "none"),
            ("MACs", reason.macs or "none"),
            *(("also", text) for text in reason.notes),
        ]
    return "\n".join([f"{traced.name}: {title}", *(f"  {label:<10}  {text}" for label, text in lines), *notes])


def _computes(layer: Layer, traced: TracedLayer) -> bool:
    """Whether the word gives the numbers that were traced; a module may have been changed since it was made."""
    came = traced.input_shape or ()
    try:
        found = (layer.output_shape(came), sum(map(prod, layer.parameter_shapes(came).values())), layer.macs(came))
    except NotationError:
        return False
    # A layer that is called again has been counted already.
    return found == (traced.output_shape, traced.parameters or found[1], traced.macs)


def _parameters(traced: TracedLayer, module: nn.Module | None) -> str:
    own = [] if module is None else list(module.named_parameters(recurse=False))
    if not traced.parameters or not own:
        return f"{traced.parameters:,}" if traced.parameters else "none"
    return ", ".join(f"{name} {shape_text(tuple(p.shape))} = {p.numel():,}" for name, p in own)
