"""Dropout: at training only, values are dropped at random and the others made up for it.

Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
Overfitting", JMLR 2014. As everywhere today, the kept values are enlarged in training, and evaluation does nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.errors import NeocogError
from neocog.textbook.shapes import floats
from neocog.textbook.windows import Array


def dropout_mask(shape: tuple[int, ...], probability: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which values are kept: each is dropped with `probability`, from 0 to below 1.

    Raises:
        NeocogError: another probability.
    """
    _check(probability)
    return rng.random(shape) >= probability


def dropout(x: ArrayLike, probability: float, mask: ArrayLike) -> Array:
    """Set to 0 what the mask does not keep, and divide the rest by 1 - probability: the expected sum stays.

    Raises:
        NeocogError: a probability outside 0 to below 1, or a mask of another shape than `x`.
    """
    x, kept = floats(x), np.asarray(mask, dtype=np.bool_)
    _check(probability)
    if kept.shape != x.shape:
        raise NeocogError(f"the mask has the shape of x, {x.shape}, not {kept.shape}.")
    return np.where(kept, x / (1 - probability), 0.0)


def dropout_backward(grad: ArrayLike, probability: float, mask: ArrayLike) -> Array:
    """From the gradient by the output the one by `x`: the same values are dropped, the same factor."""
    return dropout(grad, probability, mask)


def _check(probability: float) -> None:
    if not 0 <= probability < 1:
        raise NeocogError(f"the probability of dropout is from 0 to below 1, not {probability!r}.")
