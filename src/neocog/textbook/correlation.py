"""Cross-correlation: what the convolutional layers of every common library compute.

At each position the window's values times the weights at the same places, all added up, and the bias.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from neocog.textbook.shapes import check_gradient, check_images, check_kernels, floats
from neocog.textbook.windows import Array, Padding, Sizes, slide


def correlate2d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """Slide kernels over images.

    Args:
        x: (N, C, height, width); or one map (height, width), with a weight (height, width).
        weight: (maps, C / groups, height, width): a kernel for each map that comes out.
        bias: (maps,), or None for none.
        stride: how far the window moves, a number or (down, right).
        padding: lines of zeros on each side, a number or (above and below, left and right); or "valid", "same", "full".
        dilation: distance between neighbouring taps, a number or (down, right).
        groups: into how many equal parts channels and maps are cut, each correlated on its own.

    Returns:
        float64 (N, maps, height, width), or (height, width) for one map.

    Raises:
        NeocogError: shapes or settings that do not fit.
    """
    return _correlate(2, x, weight, bias, stride, padding, dilation, groups)


def correlate2d_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """From the gradient by the output of `correlate2d` the gradients by `x`, `weight` and `bias`."""
    return _backward(2, grad, x, weight, stride, padding, dilation, groups)


def correlate1d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """As `correlate2d` along one axis: (N, C, length), or one signal (length,) with a weight (length,)."""
    return _correlate(1, x, weight, bias, stride, padding, dilation, groups)


def correlate1d_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *,
    stride: Sizes = 1, padding: Padding = 0, dilation: Sizes = 1, groups: int = 1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """From the gradient by the output of `correlate1d` the gradients by `x`, `weight` and `bias`."""
    return _backward(1, grad, x, weight, stride, padding, dilation, groups)


def _correlate(
    axes: int, x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None,
    stride: Sizes, padding: Padding, dilation: Sizes, groups: int,
) -> Array:  # fmt: skip
    x, weight, bias = floats(x), floats(weight), None if bias is None else np.atleast_1d(floats(bias))
    if x.ndim == weight.ndim == axes:
        one: Array = _correlate(axes, x[None, None], weight[None, None], bias, stride, padding, dilation, groups)[0, 0]
        return one
    check_images(x, axes)
    check_kernels(x.shape[1], weight, bias, groups, axes)

    windows = slide(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    padded = windows.pad(x)
    output = np.zeros((len(x), len(weight), *windows.output))
    for maps, channels in _parts(weight, groups):
        for place, taps in windows:
            output[:, maps][place] = _sums_of_products(padded[:, channels][taps], weight[maps])
    if bias is not None:
        output += bias.reshape(-1, *(1,) * axes)
    return output


def _backward(
    axes: int, grad: ArrayLike, x: ArrayLike, weight: ArrayLike,
    stride: Sizes, padding: Padding, dilation: Sizes, groups: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    grad, x, weight = floats(grad), floats(x), floats(weight)
    if x.ndim == weight.ndim == axes:
        many = (grad[None, None], x[None, None], weight[None, None])
        by_x, by_weight, by_bias = _backward(axes, *many, stride, padding, dilation, groups)
        return by_x[0, 0], by_weight[0, 0], by_bias.reshape(())
    check_images(x, axes)
    check_kernels(x.shape[1], weight, None, groups, axes)
    windows = slide(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    check_gradient(grad, (len(x), len(weight), *windows.output))

    padded = windows.pad(x)
    by_padded, by_weight = np.zeros_like(padded), np.zeros_like(weight)
    for maps, channels in _parts(weight, groups):
        for place, taps in windows:
            here = grad[:, maps][place]
            # Each output is a sum of products: a factor's gradient is the other factor, times that of the sum.
            by_weight[maps] += np.tensordot(here, padded[:, channels][taps], axes=(0, 0))
            by_padded[:, channels][taps] += np.tensordot(here, weight[maps], axes=(1, 0))
    return windows.unpad(by_padded), by_weight, grad.sum(axis=(0, *range(2, axes + 2)))


def _sums_of_products(window: Array, weight: Array) -> Array:
    """For each image and each kernel the sum of all products: (N, …) and (maps, …) to (N, maps)."""
    every = range(1, window.ndim)
    sums: Array = np.tensordot(window, weight, axes=(every, every))
    return sums


def _parts(weight: Array, groups: int) -> Iterator[tuple[slice, slice]]:
    """For each group the maps that come out of it and the channels that they see."""
    maps, channels = len(weight) // groups, weight.shape[1]
    for group in range(groups):
        yield slice(group * maps, (group + 1) * maps), slice(group * channels, (group + 1) * channels)
