"""The fully connected layer, and the flattening before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import NeocogError
from neocog.textbook.shapes import check_gradient, floats
from neocog.textbook.windows import Array


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Give each output the sum of all inputs times its weights, plus its bias.

    Args:
        x: (N, inputs).
        weight: (outputs, inputs).
        bias: (outputs,), or None for none.

    Returns:
        float64 (N, outputs).

    Raises:
        NeocogError: shapes that do not fit.
    """
    x, weight = floats(x), floats(weight)
    _check(x, weight)
    output = x @ weight.T
    if bias is None:
        return output
    bias = floats(bias)
    if bias.shape != (len(weight),):
        raise NeocogError(f"{len(weight)} outputs need a bias of the shape ({len(weight)},), not {bias.shape}.")
    return output + bias


def linear_backward(grad: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[Array, Array, Array]:
    """From the gradient by the output of `linear` the gradients by `x`, `weight` and `bias`."""
    grad, x, weight = floats(grad), floats(x), floats(weight)
    _check(x, weight)
    check_gradient(grad, (len(x), len(weight)))
    return grad @ weight, grad.T @ x, grad.sum(axis=0)


def flatten(x: ArrayLike) -> Array:
    """Put the values of each image in one row, channel after channel, line after line: (N, …) to (N, values)."""
    x = floats(x)
    return x.reshape(len(x), int(np.prod(x.shape[1:])))


def flatten_backward(grad: ArrayLike, x: ArrayLike) -> Array:
    """Give the gradient by the output of `flatten` the shape of `x` again."""
    return floats(grad).reshape(floats(x).shape)


def _check(x: Array, weight: Array) -> None:
    if x.ndim != 2 or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise NeocogError(
            f"x has the shape (images, inputs) and weight (outputs, inputs), with equal inputs; "
            f"got {x.shape} and {weight.shape}."
        )
