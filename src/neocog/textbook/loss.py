"""Cross entropy on logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import NeocogError
from neocog.textbook.activations import softmax
from neocog.textbook.shapes import floats
from neocog.textbook.windows import Array


def one_hot(labels: ArrayLike, classes: int) -> Array:
    """For each label a row with 1 at its class and 0 elsewhere: (N,) to (N, classes).

    Raises:
        NeocogError: labels that are not whole numbers from 0 to classes - 1.
    """
    labels = np.asarray(labels)
    outside = bool(labels.size) and not 0 <= labels.min() <= labels.max() < classes
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or outside:
        raise NeocogError(f"labels are a row of whole numbers from 0 to {classes - 1}.")
    rows: Array = np.eye(classes)[labels]
    return rows


def cross_entropy(logits: ArrayLike, targets: ArrayLike) -> float:
    """The mean over the images of minus the sum of target * log(probability), the probability by softmax.

    Args:
        logits: (N, classes).
        targets: labels (N,), whole numbers; or one-hot or other weights (N, classes).

    Raises:
        NeocogError: shapes that do not fit, labels outside the classes.
    """
    logits, targets = _checked(logits, targets)
    # log(exp(a) / sum) = a - log(sum); the largest logit is taken off, so that no exp overflows and no sum is 0
    logits = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-(targets * log_probabilities).sum(axis=1).mean())


def cross_entropy_backward(grad: float, logits: ArrayLike, targets: ArrayLike) -> Array:
    """From the gradient by the loss (1.0 for the loss itself) the one by the logits: (softmax - target) / N."""
    logits, targets = _checked(logits, targets)
    by_logits: Array = grad * (softmax(logits) * targets.sum(axis=1, keepdims=True) - targets) / len(logits)
    return by_logits


def _checked(logits: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    logits = floats(logits)
    if logits.ndim != 2 or not logits.size:
        raise NeocogError(f"logits have the shape (images, classes), at least one of each; not {logits.shape}.")
    chosen = one_hot(targets, logits.shape[1]) if np.ndim(targets) == 1 else floats(targets)
    if chosen.shape != logits.shape:
        raise NeocogError(
            f"logits {logits.shape} need targets of the same shape, or {len(logits)} labels; got {np.shape(targets)}."
        )
    return logits, chosen
