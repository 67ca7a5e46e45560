"""The steps of an operation one after the other, each with its numbers, and how often each input takes part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.errors import NeocogError
from neocog.textbook.convolution import flipped
from neocog.textbook.pooling import pool_windows
from neocog.textbook.shapes import check_kernels, floats
from neocog.textbook.step import Step
from neocog.textbook.windows import Array, Padding, Sizes, Windows, slide

PoolKind: TypeAlias = Literal["max", "average"]


def correlation_steps(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Iterator[Step]:
    """Watch `correlate1d` or `correlate2d` on one image: map by map, each in reading order.

    Args:
        x: one image (C, height, width) with a weight (maps, C / groups, height, width), or one signal (C, length) with
            (maps, C / groups, length); or one map or line without channels, with a weight that has none either.
        weight, bias, stride, padding, dilation, groups: as in `correlate2d`.

    Returns:
        A Step for each value of the output. With groups its window has the channels of its own group.

    Raises:
        NeocogError: shapes or settings that do not fit, at once.
    """
    x, weight = _with_channels(floats(x), floats(weight))
    offsets = None if bias is None else np.atleast_1d(floats(bias))
    axes = x.ndim - 1
    check_kernels(len(x), weight, offsets, groups, axes)
    windows = slide(x.shape[1:], weight.shape[2:], stride, padding, dilation)
    offsets = np.zeros(len(weight)) if offsets is None else offsets
    return _weighted(windows, windows.pad(x), weight, offsets, groups)


def convolution_steps(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Iterator[Step]:
    """As `correlation_steps` for `convolve1d` or `convolve2d`: the kernel of each Step is the flipped one."""
    weight = floats(weight)
    turned = flipped(weight, weight.ndim if weight.ndim < 3 and weight.ndim == np.ndim(x) else weight.ndim - 2)
    return correlation_steps(x, turned, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def pool_steps(
    x: ArrayLike,
    kernel: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    kind: PoolKind = "max",
) -> Iterator[Step]:
    """Watch a pool on one image (C, height, width) or signal (C, length): channel by channel, in reading order.

    The window of a Step has one channel. An average is a sum like any other: its kernel is 1 / the number of taps.
    `kernel`, `stride`, `padding` and `dilation` are as in `max_pool2d`.

    Raises:
        NeocogError: shapes or settings that do not fit, at once.
    """
    x = floats(x)
    if x.ndim not in (2, 3):
        raise NeocogError(f"x has the shape (channels, height, width) or (channels, length), not {x.shape}.")
    if kind not in ("max", "average"):
        raise NeocogError(f"the kind of a pool is 'max' or 'average', not {kind!r}.")
    windows = pool_windows(x.shape[1:], kernel, stride, padding, dilation)
    if kind == "max":
        return _largest(windows, windows.pad(x, -np.inf))
    shares = np.full((len(x), 1, *windows.kernel), 1 / np.prod(windows.kernel))
    return _weighted(windows, windows.pad(x), shares, np.zeros(len(x)), groups=len(x))


def taking_part(
    size: Sizes, kernel: Sizes, padding: Padding = 0, stride: Sizes = 1, dilation: Sizes = 1
) -> NDArray[np.int64]:
    """Count in how many windows each input element takes part.

    Args:
        size: the length of a line, or (height, width).
        kernel, padding, stride, dilation: as in `correlate2d`.

    Returns:
        int64 of the shape `size`.

    Raises:
        NeocogError: settings that do not fit.
    """
    lengths = (size,) if isinstance(size, int | np.integer) else tuple(size)
    windows = slide(lengths, kernel, stride, padding, dilation)
    counts = windows.pad(np.zeros(windows.size))
    for _, taps in windows:
        counts[taps] += 1
    return windows.unpad(counts).astype(np.int64)


def _with_channels(x: Array, weight: Array) -> tuple[Array, Array]:
    if x.ndim == weight.ndim and x.ndim in (1, 2):
        return x[None], weight[None, None]
    if x.ndim not in (2, 3) or weight.ndim != x.ndim + 1:
        raise NeocogError(
            "x is (channels, height, width) with a weight (maps, channels, height, width), or (channels, length) with "
            f"(maps, channels, length), or neither has maps and channels; got {x.shape} and {weight.shape}."
        )
    return x, weight


def _weighted(windows: Windows, padded: Array, weight: Array, bias: Array, groups: int) -> Iterator[Step]:
    seen = weight.shape[1]
    for channel, kernel in enumerate(weight):
        group = channel * groups // len(weight)
        values, offset = padded[group * seen : (group + 1) * seen], float(bias[channel])
        for position, (_, taps) in zip(windows.positions, windows, strict=True):
            window, start = values[taps].copy(), windows.start(position)
            products = window * kernel
            value = float(products.sum() + offset)
            yield Step(position, start, window, kernel, products, offset, value, channel, windows.dilation)


def _largest(windows: Windows, padded: Array) -> Iterator[Step]:
    for channel, values in enumerate(padded):
        for position, (_, taps) in zip(windows.positions, windows, strict=True):
            window, start = values[None][taps].copy(), windows.start(position)
            largest = float(window.max())
            yield Step(position, start, window, None, window, 0.0, largest, channel, windows.dilation, "largest")
