"""Batch normalisation: each channel with mean 0 and deviation 1 over the batch, then scaled and shifted.

Source: Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
ICML 2015. `x` is (N, C) or (N, C, …) throughout, and what is one number a channel has the shape (C,).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import NeocogError
from neocog.textbook.shapes import check_gradient, floats
from neocog.textbook.windows import Array


def batch_norm(x: ArrayLike, weight: ArrayLike, bias: ArrayLike, *, epsilon: float = 1e-5) -> Array:
    """As in training: (x - mean) / sqrt(variance + epsilon) * weight + bias, by the batch's own mean and variance.

    Raises:
        NeocogError: shapes that do not fit.
    """
    x = floats(x)
    mean, variance = _statistics(x)
    return batch_norm_evaluation(x, weight, bias, mean, variance, epsilon=epsilon)


def batch_norm_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """From the gradient by the output of `batch_norm` the gradients by `x`, `weight` and `bias`.

    Every value moves its channel's mean and variance, and through them all other values of the channel.
    """
    grad, x, weight = floats(grad), floats(x), floats(weight)
    check_gradient(grad, x.shape)
    mean, variance = _statistics(x)
    deviation = np.sqrt(variance + epsilon)
    normalised = (x - _wide(mean, x)) / _wide(deviation, x)
    by_weight, by_bias = (grad * normalised).sum(axis=_others(x)), grad.sum(axis=_others(x))

    values = x.size / x.shape[1]
    through_mean, through_variance = _wide(by_bias, x) / values, normalised * _wide(by_weight, x) / values
    by_x = _wide(weight / deviation, x) * (grad - through_mean - through_variance)
    return by_x, by_weight, by_bias


def batch_norm_evaluation(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike, mean: ArrayLike, variance: ArrayLike, *, epsilon: float = 1e-5
) -> Array:
    """As in evaluation: the same by a fixed mean and variance, which training has kept.

    Raises:
        NeocogError: shapes that do not fit.
    """
    x, weight, bias, mean, variance = map(floats, (x, weight, bias, mean, variance))
    for name, values in (("weight", weight), ("bias", bias), ("mean", mean), ("variance", variance)):
        if x.ndim < 2 or values.shape != x.shape[1:2]:
            raise NeocogError(f"x is (images, channels, …) and {name} (channels,); got {x.shape} and {values.shape}.")
    normalised = (x - _wide(mean, x)) / _wide(np.sqrt(variance + epsilon), x)
    return normalised * _wide(weight, x) + _wide(bias, x)


def batch_norm_evaluation_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, mean: ArrayLike, variance: ArrayLike, *, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """From the gradient by the output of `batch_norm_evaluation` the gradients by `x`, `weight` and `bias`."""
    grad, x, weight, mean, variance = map(floats, (grad, x, weight, mean, variance))
    check_gradient(grad, x.shape)
    deviation = np.sqrt(variance + epsilon)
    normalised = (x - _wide(mean, x)) / _wide(deviation, x)
    by_weight, by_bias = (grad * normalised).sum(axis=_others(x)), grad.sum(axis=_others(x))
    return grad * _wide(weight / deviation, x), by_weight, by_bias


def running_statistics(
    x: ArrayLike, mean: ArrayLike, variance: ArrayLike, *, momentum: float = 0.1
) -> tuple[Array, Array]:
    """Move the kept mean and variance towards the batch's by the share `momentum`; give both.

    The batch's variance is divided by one less than the number of values here, as an estimate for all images is.

    Raises:
        NeocogError: fewer than two values a channel.
    """
    x = floats(x)
    batch_mean, batch_variance = _statistics(x)
    values = x.size // x.shape[1]
    if values < 2:
        raise NeocogError(f"a variance needs at least two values a channel; x is {x.shape}.")
    unbiased = batch_variance * values / (values - 1)
    kept = 1 - momentum
    return kept * floats(mean) + momentum * batch_mean, kept * floats(variance) + momentum * unbiased


def _statistics(x: Array) -> tuple[Array, Array]:
    """The mean of each channel, and the mean of the squared distances from it."""
    if x.ndim < 2 or not x.size:
        raise NeocogError(f"x has the shape (images, channels, …), at least one of each; not {x.shape}.")
    mean = x.mean(axis=_others(x))
    return mean, ((x - _wide(mean, x)) ** 2).mean(axis=_others(x))


def _others(x: Array) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, x.ndim))


def _wide(values: Array, x: Array) -> Array:
    """One number a channel, with axes of length 1 where `x` has images, rows and columns."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))
