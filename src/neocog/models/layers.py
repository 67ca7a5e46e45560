"""The words of the notation for the modules of PyTorch, and their like where it has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import pairwise

from torch import nn

from neocog.errors import NotationError
from neocog.models.network import FlattenView, GlobalAverage, SameConv2d, ScaledTanh
from neocog.models.wordless import ReLU6, UnevenConv
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
    Shape,
)

_ACTIVATIONS: dict[type[nn.Module], ActivationKind] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    ScaledTanh: "scaledtanh",
    nn.Sigmoid: "sigmoid",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
}


def as_layer(module: nn.Module, shape: Shape | None = None) -> Layer | None:
    """The word of the notation that computes what a module does, or its like (`WORDLESS`); None where there is none.

    For an adaptive pool, and a convolution that pads as much as it needs, that depends on the `shape` of the image's
    map that it takes.
    """
    if isinstance(module, nn.AdaptiveAvgPool2d) and shape is not None and len(shape) == 3:
        return _adaptive_pool(module, shape)
    if isinstance(module, SameConv2d) and shape is not None and len(shape) == 3:
        return _padded_conv(module, shape)
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


def _padded_conv(module: SameConv2d, shape: Shape) -> Conv | None:
    left, right, top, bottom = module.margins_for(*shape[1:])
    plain = _conv(module)
    if plain is None:
        return None
    if (top, left) == (bottom, right):
        return replace(plain, padding=(top, left))
    settings = {field.name: getattr(plain, field.name) for field in fields(plain)}
    return UnevenConv(**settings, margins=((top, bottom), (left, right)))


def _max_pool(module: nn.MaxPool2d) -> MaxPool | None:
    if module.ceil_mode or _pair(module.dilation) != (1, 1):
        return None
    return MaxPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


def _average_pool(module: nn.AvgPool2d) -> AvgPool | None:
    if module.ceil_mode or not module.count_include_pad or module.divisor_override is not None:
        return None
    return AvgPool(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))


def _adaptive_pool(module: nn.AdaptiveAvgPool2d, shape: Shape) -> AvgPool | None:
    size = module.output_size if isinstance(module.output_size, tuple) else (module.output_size,) * 2
    rows, columns = (_even_window(given, wanted) for given, wanted in zip(shape[1:], size, strict=True))
    return None if rows is None or columns is None else AvgPool((rows[0], columns[0]), (rows[1], columns[1]))


def _even_window(size: int, wanted: int | None) -> tuple[int, int] | None:
    """Kernel and stride of windows from floor(i * size / wanted) to ceil((i + 1) * size / wanted), where all agree."""
    if wanted is None:
        return 1, 1
    starts = [place * size // wanted for place in range(wanted)]
    lengths = {-(-(place + 1) * size // wanted) - start for place, start in enumerate(starts)}
    strides = {later - start for start, later in pairwise(starts)} or {size}
    if len(lengths) > 1 or len(strides) > 1 or strides == {0}:
        return None
    return lengths.pop(), strides.pop()


_READERS: dict[type[nn.Module], Callable[..., Layer | None]] = {
    nn.Conv2d: _conv,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.Linear: lambda module: Linear(module.out_features, bias=module.bias is not None),
    nn.BatchNorm2d: lambda module: BatchNorm() if module.affine else None,
    nn.BatchNorm1d: lambda module: BatchNorm() if module.affine else None,
    nn.Dropout: lambda module: Dropout(module.p),
    nn.ReLU6: lambda module: ReLU6(),
    FlattenView: lambda module: Flatten(),
    nn.Flatten: lambda module: Flatten() if (module.start_dim, module.end_dim) == (1, -1) else None,
    GlobalAverage: lambda module: GlobalAvgPool(),
}


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
