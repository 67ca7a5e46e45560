"""The arithmetic of one value of a layer that adds up what a window sees: convolution, pooling, linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from neocog.explain.finding import Finding, Numbers, Place, as_float64, short
from neocog.explain.forward import Call
from neocog.models.lenet import EuclideanRBF, Subsample, TableConv2d
from neocog.models.network import GlobalAverage, SameConv2d
from neocog.textbook.step import Step

_Places = NDArray[np.integer[Any]]

_MOST_TERMS = 5


def conv(call: Call, place: Place) -> Finding | None:
    """A convolution in one or two dimensions, with groups, stride, dilation and any mode of padding."""
    layer = call.module
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    before = _padding_before(layer)
    x = as_float64(call.inputs[0])[0]
    if x.ndim != len(before) + 1:
        return None
    weight = as_float64(layer.weight)
    width = weight.shape[1]
    first = place[0] // (len(weight) // layer.groups) * width
    if isinstance(layer, SameConv2d):
        left, _, top, _ = layer.margins_for(*x.shape[1:])
        before = (before[0] + top, before[1] + left)
    step = _weighted_step(
        x[first : first + width],
        weight[place[0]],
        0.0 if layer.bias is None else float(layer.bias[place[0]]),
        place,
        before,
        layer.stride,
        layer.dilation,
        layer.padding_mode,
    )
    lines = () if layer.groups == 1 else (_renamed(range(first, first + width)),)
    return _of_step(step, x.shape[1:], lines)


def table_conv(call: Call, place: Place) -> Finding | None:
    """A convolution whose output maps see only the input maps of a table."""
    layer = call.module
    assert isinstance(layer, TableConv2d)
    x, seen = as_float64(call.inputs[0])[0], layer.table[place[0]]
    first = sum(len(entry) for entry in layer.table[: place[0]])
    left, _, top, _ = layer.margins
    step = _weighted_step(
        x[list(seen)],
        as_float64(layer.weight[first : first + len(seen)]),
        0.0 if layer.bias is None else float(layer.bias[place[0]]),
        place,
        (top, left),
        layer.stride,
        layer.dilation,
        "zeros",
    )
    return _of_step(step, x.shape[1:], (_renamed(seen),))


def linear(call: Call, place: Place) -> Finding:
    """One unit of a fully connected layer."""
    layer = call.module
    assert isinstance(layer, nn.Linear)
    x = as_float64(call.inputs[0])[0][place[:-1]]
    weight = as_float64(layer.weight[place[-1]])
    bias = 0.0 if layer.bias is None else float(layer.bias[place[-1]])
    products = x * weight
    step = Step(
        position=(place[-1],),
        start=(0,),
        window=x[None],
        kernel=weight[None],
        products=products[None],
        bias=bias,
        value=float(products.sum()) + bias,
        dilation=(1,),
    )
    return _of_step(step, x.shape, _largest(x, weight, products, "times"))


def rbf(call: Call, place: Place) -> Finding:
    """Minus the squared distance from the target of a unit."""
    layer = call.module
    assert isinstance(layer, EuclideanRBF)
    x, target = as_float64(call.inputs[0])[0], as_float64(layer.targets[place[0]])
    squares = (x - target) ** 2
    total = float(squares.sum())
    lines = (
        f"minus the sum of (x - target)^2 over {len(x)} values: -({short(total)})",
        *_largest(x, target, squares, "against the target"),
    )
    return Finding(-total, total, 3 * len(x), lines=lines)


def subsample(call: Call, place: Place) -> Finding:
    """The mean of a window times a coefficient, plus a bias."""
    layer = call.module
    assert isinstance(layer, Subsample)
    x, weight = as_float64(call.inputs[0])[0], float(layer.weight[place[0]])
    share = np.full((1, *layer.kernel), weight / (layer.kernel[0] * layer.kernel[1]))
    bias = float(layer.bias[place[0]])
    map_ = x[place[0] : place[0] + 1]
    step = _weighted_step(map_, share, bias, place, (0, 0), layer.kernel, (1, 1), "zeros")
    mean = float(step.window.mean())
    line = f"mean {short(mean)}, times the coefficient {short(weight)}, plus bias {short(bias)}"
    return _of_step(step, x.shape[1:], (line,))


def max_pool(call: Call, place: Place) -> Finding | None:
    """The largest value of a window."""
    layer = call.module
    assert isinstance(layer, nn.MaxPool1d | nn.MaxPool2d)
    x = as_float64(call.inputs[0])[0]
    axes = x.ndim - 1
    kernel, padding = _each(layer.kernel_size, axes), _each(layer.padding, axes)
    stride, dilation = _each(layer.stride or layer.kernel_size, axes), _each(layer.dilation, axes)
    start = tuple(at * step - pad for at, step, pad in zip(place[1:], stride, padding, strict=True))
    taps = [first + gap * np.arange(count) for first, gap, count in zip(start, dilation, kernel, strict=True)]
    window = _taken(x[place[0] : place[0] + 1], taps, "zeros", -np.inf)
    return _pooled(window, None, place, start, x, dilation)


def average_pool(call: Call, place: Place) -> Finding | None:
    """The mean of a window; padding counts as zeros unless the layer leaves it out."""
    layer = call.module
    assert isinstance(layer, nn.AvgPool1d | nn.AvgPool2d)
    x = as_float64(call.inputs[0])[0]
    axes, size = x.ndim - 1, x.shape[1:]
    kernel, stride = _each(layer.kernel_size, axes), _each(layer.stride, axes)
    padding = _each(layer.padding, axes)
    start = tuple(at * step - pad for at, step, pad in zip(place[1:], stride, padding, strict=True))
    # A window of ceil_mode may reach beyond the padding, where there is nothing, not even zeros.
    stop = [
        min(first + count, length + pad) for first, count, length, pad in zip(start, kernel, size, padding, strict=True)
    ]
    taps = [np.arange(first, last) for first, last in zip(start, stop, strict=True)]
    window = _taken(x[place[0] : place[0] + 1], taps, "zeros", 0.0)
    count = window.size
    if not layer.count_include_pad:
        count = int(np.prod([np.sum((tap >= 0) & (tap < length)) for tap, length in zip(taps, size, strict=True)]))
    divisor = getattr(layer, "divisor_override", None) or count
    return _pooled(window, divisor, place, start, x, (1,) * axes)


def adaptive_pool(call: Call, place: Place) -> Finding | None:
    """The largest value or the mean of one of as many windows as the output has places."""
    layer = call.module
    largest = isinstance(layer, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d)
    x = as_float64(call.inputs[0])[0]
    given = call.shape[1:]
    start = tuple(at * length // count for at, length, count in zip(place[1:], x.shape[1:], given, strict=True))
    stop = [-(-(at + 1) * length // count) for at, length, count in zip(place[1:], x.shape[1:], given, strict=True)]
    taps = [np.arange(first, last) for first, last in zip(start, stop, strict=True)]
    window = _taken(x[place[0] : place[0] + 1], taps, "zeros", 0.0)
    return _pooled(window, None if largest else window.size, place, start, x, (1,) * (x.ndim - 1))


def global_average(call: Call, place: Place) -> Finding:
    """The mean of a whole map."""
    assert isinstance(call.module, GlobalAverage)
    x = as_float64(call.inputs[0])[0]
    window = x[place[0] : place[0] + 1]
    return _pooled(window, window.size, (place[0], 0, 0), (0, 0), x, (1, 1))


def _weighted_step(
    x: Numbers,
    kernel: Numbers,
    bias: float,
    place: Place,
    before: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    mode: str,
) -> Step:
    start = tuple(at * step - pad for at, step, pad in zip(place[1:], stride, before, strict=True))
    taps = [first + gap * np.arange(count) for first, gap, count in zip(start, dilation, kernel.shape[1:], strict=True)]
    window = _taken(x, taps, mode, 0.0)
    products = window * kernel
    return Step(
        position=place[1:],
        start=start,
        window=window,
        kernel=kernel,
        products=products,
        bias=bias,
        value=float(products.sum()) + bias,
        channel=place[0],
        dilation=tuple(dilation),
    )


def _of_step(step: Step, size: Place, lines: tuple[str, ...]) -> Finding:
    scale = float(np.abs(step.products).sum()) + abs(step.bias)
    return Finding(step.value, scale, step.products.size + 1, step, size, lines)


def _renamed(seen: Sequence[int]) -> str:
    """Say which channels of the input the window's own channels, counted from 0, are."""
    if len(seen) == 1:
        return f"sees channel {seen[0]} of the input alone"
    return f"sees the channels {', '.join(map(str, seen))} of the input, here called 0 to {len(seen) - 1}"


def _pooled(window: Numbers, divisor: int | None, place: Place, start: Place, x: Numbers, dilation: Place) -> Finding:
    """The sum of a window through `divisor`, or without one its largest value."""
    value = float(window.max() if divisor is None else window.sum() / divisor)
    step = Step(
        position=place[1:],
        start=start,
        window=window,
        kernel=None,
        products=window,
        bias=0.0,
        value=value,
        channel=place[0],
        dilation=dilation,
        kind="largest" if divisor is None else "mean",
        divisor=divisor or 1,
    )
    seen = window[np.isfinite(window)]
    scale = float(np.abs(seen).mean()) if seen.size else 0.0
    return Finding(value, max(scale, abs(value)), window.size, step, x.shape[1:])


def _taken(x: Numbers, taps: Sequence[_Places], mode: str, outside: float) -> Numbers:
    """Give the values of `x` (C, …) at the taps of each axis; what lies outside as the mode of padding says."""
    window = x
    for axis, (places, length) in enumerate(zip(taps, x.shape[1:], strict=True), start=1):
        inside = (places >= 0) & (places < length)
        window = np.take(window, _inside(places, length, mode), axis=axis)
        if mode == "zeros" and not inside.all():
            shape = [-1 if other == axis else 1 for other in range(window.ndim)]
            window = np.where(inside.reshape(shape), window, outside)
    return window


def _inside(places: _Places, length: int, mode: str) -> _Places:
    """Give the place within the input whose value padding puts at each place."""
    if mode == "circular":
        return places % length
    if mode == "reflect":
        period = max(2 * (length - 1), 1)
        places = np.abs(places) % period
        return np.where(places < length, places, period - places)
    return places.clip(0, length - 1)


def _padding_before(layer: nn.Conv1d | nn.Conv2d) -> tuple[int, ...]:
    """Give the lines of padding before each axis; PyTorch keeps pairs, the last axis first."""
    if isinstance(layer.padding, str):
        pairs: list[int] = layer._reversed_padding_repeated_twice
        return tuple(pairs[::2][::-1])
    return tuple(layer.padding)


def _each(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    given = (setting,) if isinstance(setting, int) else tuple(setting)
    return given * axes if len(given) == 1 else given


def _largest(x: Numbers, other: Numbers, terms: Numbers, word: str) -> tuple[str, ...]:
    """Name the few terms of a long sum that count most."""
    order = np.argsort(-np.abs(terms), kind="stable")[:_MOST_TERMS]
    named = (
        f"input {place}: {short(x[place])} {word} {short(other[place])} gives {short(terms[place])}" for place in order
    )
    head = f"the {len(order)} largest of {len(terms):,} terms:" if len(terms) > _MOST_TERMS else "the terms:"
    return (head, *(f"  {text}" for text in named))
