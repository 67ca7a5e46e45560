"""Convolution as in mathematics: cross-correlation with the kernel turned round."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.textbook.correlation import correlate1d, correlate1d_backward, correlate2d, correlate2d_backward
from neocog.textbook.shapes import floats
from neocog.textbook.windows import Array, Padding, Sizes


def flipped(weight: ArrayLike, axes: int) -> Array:
    """The kernel turned round: its last `axes` axes in reverse."""
    weight = floats(weight)
    return np.flip(weight, axis=tuple(range(-min(axes, weight.ndim), 0)))


def convolve2d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """As `correlate2d` with each kernel flipped, top to bottom and left to right."""
    turned = flipped(weight, 2)
    return correlate2d(x, turned, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def convolve2d_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """From the gradient by the output of `convolve2d` the gradients by `x`, `weight` and `bias`."""
    by_x, by_turned, by_bias = correlate2d_backward(
        grad, x, flipped(weight, 2), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return by_x, flipped(by_turned, 2), by_bias


def convolve1d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """As `correlate1d` with each kernel read backwards."""
    turned = flipped(weight, 1)
    return correlate1d(x, turned, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def convolve1d_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """From the gradient by the output of `convolve1d` the gradients by `x`, `weight` and `bias`."""
    by_x, by_turned, by_bias = correlate1d_backward(
        grad, x, flipped(weight, 1), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return by_x, flipped(by_turned, 1), by_bias
