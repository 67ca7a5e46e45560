"""Pooling: of each window the largest value or the mean, in each channel alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import NeocogError
from neocog.textbook.shapes import AXES, check_gradient, floats
from neocog.textbook.windows import Array, Padding, Sizes, Windows, slide


def max_pool2d(
    x: ArrayLike, kernel: Sizes, *, stride: Sizes | None = None, padding: Padding = 0, dilation: Sizes = 1
) -> Array:
    """Take the largest value of each window. Padding is minus infinity, so that it never wins.

    Args:
        x: (…, height, width), such as (N, C, height, width) or a single map.
        kernel: the size of the window, a number or (height, width).
        stride: how far the window moves; None for the size of the window, so that no value is used twice.
        padding: as in `correlate2d`, but at most half the window.
        dilation: distance between neighbouring taps.

    Raises:
        NeocogError: shapes or settings that do not fit.
    """
    return _max_pool(2, x, kernel, stride, padding, dilation)


def max_pool2d_backward(
    grad: ArrayLike, x: ArrayLike, kernel: Sizes, *,
    stride: Sizes | None = None, padding: Padding = 0, dilation: Sizes = 1,
) -> Array:  # fmt: skip
    """From the gradient by the output the one by `x`: it goes to the value that won, the first of equal ones."""
    return _max_pool_backward(2, grad, x, kernel, stride, padding, dilation)


def average_pool2d(x: ArrayLike, kernel: Sizes, *, stride: Sizes | None = None, padding: Padding = 0) -> Array:
    """Take the mean of each window; padding counts as zeros. Arguments and errors as in `max_pool2d`."""
    return _average_pool(2, x, kernel, stride, padding)


def average_pool2d_backward(
    grad: ArrayLike, x: ArrayLike, kernel: Sizes, *, stride: Sizes | None = None, padding: Padding = 0
) -> Array:
    """From the gradient by the output the one by `x`: an equal share for each value of the window."""
    return _average_pool_backward(2, grad, x, kernel, stride, padding)


def max_pool1d(
    x: ArrayLike, kernel: Sizes, *, stride: Sizes | None = None, padding: Padding = 0, dilation: Sizes = 1
) -> Array:
    """As `max_pool2d` along one axis: (…, length)."""
    return _max_pool(1, x, kernel, stride, padding, dilation)


def max_pool1d_backward(
    grad: ArrayLike, x: ArrayLike, kernel: Sizes, *,
    stride: Sizes | None = None, padding: Padding = 0, dilation: Sizes = 1,
) -> Array:  # fmt: skip
    """As `max_pool2d_backward` along one axis."""
    return _max_pool_backward(1, grad, x, kernel, stride, padding, dilation)


def average_pool1d(x: ArrayLike, kernel: Sizes, *, stride: Sizes | None = None, padding: Padding = 0) -> Array:
    """As `average_pool2d` along one axis: (…, length)."""
    return _average_pool(1, x, kernel, stride, padding)


def average_pool1d_backward(
    grad: ArrayLike, x: ArrayLike, kernel: Sizes, *, stride: Sizes | None = None, padding: Padding = 0
) -> Array:
    """As `average_pool2d_backward` along one axis."""
    return _average_pool_backward(1, grad, x, kernel, stride, padding)


def pool_windows(
    size: tuple[int, ...], kernel: Sizes, stride: Sizes | None, padding: Padding, dilation: Sizes = 1
) -> Windows:
    """The windows of a pool.

    Raises:
        NeocogError: settings that do not fit, or more padding than half a window: one could see nothing else.
    """
    windows = slide(size, kernel, kernel if stride is None else stride, padding, dilation)
    for (before, after), taps, apart in zip(windows.margins, windows.kernel, windows.dilation, strict=True):
        if 2 * max(before, after) > (taps - 1) * apart + 1:
            raise NeocogError(f"the padding of a pool is at most half its window, {kernel!r} / 2, not {padding!r}.")
    return windows


def _max_pool(axes: int, x: ArrayLike, kernel: Sizes, stride: Sizes | None, padding: Padding, dilation: Sizes) -> Array:
    x = floats(x)
    windows = _windows(axes, x, kernel, stride, padding, dilation)
    padded = windows.pad(x, -np.inf)
    output = np.zeros((*x.shape[:-axes], *windows.output))
    for place, taps in windows:
        output[place] = padded[taps].max(axis=_last(axes))
    return output


def _max_pool_backward(
    axes: int, grad: ArrayLike, x: ArrayLike, kernel: Sizes, stride: Sizes | None, padding: Padding, dilation: Sizes
) -> Array:
    grad, x = floats(grad), floats(x)
    windows = _windows(axes, x, kernel, stride, padding, dilation)
    check_gradient(grad, (*x.shape[:-axes], *windows.output))
    padded = windows.pad(x, -np.inf)
    by_padded = np.zeros_like(padded)
    for place, taps in windows:
        here = np.expand_dims(grad[place], _last(axes))
        by_padded[taps] += here * _first_largest(padded[taps], axes)
    return windows.unpad(by_padded)


def _average_pool(axes: int, x: ArrayLike, kernel: Sizes, stride: Sizes | None, padding: Padding) -> Array:
    x = floats(x)
    windows = _windows(axes, x, kernel, stride, padding)
    padded = windows.pad(x)
    output = np.zeros((*x.shape[:-axes], *windows.output))
    for place, taps in windows:
        output[place] = padded[taps].mean(axis=_last(axes))
    return output


def _average_pool_backward(
    axes: int, grad: ArrayLike, x: ArrayLike, kernel: Sizes, stride: Sizes | None, padding: Padding
) -> Array:
    grad, x = floats(grad), floats(x)
    windows = _windows(axes, x, kernel, stride, padding)
    check_gradient(grad, (*x.shape[:-axes], *windows.output))
    by_padded = np.zeros_like(windows.pad(x))
    for place, taps in windows:
        here = np.expand_dims(grad[place], _last(axes))
        by_padded[taps] += here / np.prod(windows.kernel)
    return windows.unpad(by_padded)


def _windows(
    axes: int, x: Array, kernel: Sizes, stride: Sizes | None, padding: Padding, dilation: Sizes = 1
) -> Windows:
    if x.ndim < axes:
        raise NeocogError(f"x has at least {axes} axes, (…, {AXES[axes]}); got the shape {x.shape}.")
    return pool_windows(x.shape[-axes:], kernel, stride, padding, dilation)


def _first_largest(window: Array, axes: int) -> Array:
    """1 where the first of the largest values of each window stands, 0 elsewhere."""
    flat = window.reshape(*window.shape[:-axes], -1)
    first: Array = np.eye(flat.shape[-1])[flat.argmax(-1)]
    return first.reshape(window.shape)


def _last(axes: int) -> tuple[int, ...]:
    return tuple(range(-axes, 0))
