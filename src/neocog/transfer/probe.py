"""Linear probe: how well a linear layer on features tells the classes apart, measured by cross-validation.

NumPy and scikit-learn only. The features may come from anywhere: a trunk (`Trunk.features`), or plain pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neocog.transfer.folds import Groups, Int64, folds, interval
from neocog.transfer.head import Float32, Float64, Floats, Head, Penalty, check, chosen_penalty, fit_head

__all__ = [
    "CrossValidation",
    "Head",
    "Neighbours",
    "cross_validate",
    "fit_head",
    "folds",
    "interval",
    "nearest_neighbours",
]

# up to here each fold chooses its own penalty; beyond, one number chosen among a dozen for all of them adds no optimism
_ROWS_FOR_NESTED = 1_000
_CHUNK = 2_048


# the arguments that say how many folds there are bear the function's name
_folds = folds


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What heads said of images that took no part in their fitting.

    `probabilities` (N, K) are the means over the repeats, `predictions` (N,) their largest; `accuracy` is the mean
    accuracy over the repeats, `fold_accuracies` has each fold's, `l2_penalties` what each fold was fitted with.
    `interval` is the 95 % interval of Wilson for so many right answers of N. It takes the N answers for independent
    draws; the folds share training images, so it is a little too narrow, and it speaks of training sets a fold smaller
    than the whole.
    """

    probabilities: Float64
    predictions: Int64
    accuracy: float
    interval: tuple[float, float]
    fold_accuracies: tuple[float, ...]
    l2_penalties: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How often the nearest neighbours' vote is right: `predictions` (N,), accuracy, and its 95 % interval."""

    predictions: Int64
    accuracy: float
    interval: tuple[float, float]


def cross_validate(
    features: Floats,
    labels: npt.ArrayLike,
    num_classes: int,
    *,
    groups: Groups | None = None,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    l2_penalty: Penalty = "auto",
) -> CrossValidation:
    """Fit a head to all folds but one, ask it about that one, and go round; `repeats` times with other folds.

    "auto" chooses the penalty within the training rows of each fold; with more than 1,000 rows once, for all folds.
    Raises `DataError` as `folds` and `fit_head` do.
    """
    rows, numbers = check(features, labels, num_classes)
    if l2_penalty == "auto" and len(rows) > _ROWS_FOR_NESTED:
        l2_penalty = chosen_penalty(rows, numbers, groups, seed)
    total = np.zeros((len(rows), num_classes))
    right, accuracies, penalties = 0, list[float](), list[float]()
    for repeat in range(repeats):
        for train, test in _folds(numbers, groups, folds, seed + repeat):
            inner = None if groups is None else [groups[int(row)] for row in train]
            head = fit_head(
                rows[train], numbers[train], num_classes, l2_penalty=l2_penalty, groups=inner, seed=seed + repeat
            )
            found = head.probabilities(rows[test])
            total[test] += found
            hits = int((found.argmax(1) == numbers[test]).sum())
            right += hits
            accuracies.append(hits / len(test))
            penalties.append(head.l2_penalty)
    mean_right = right / repeats
    return CrossValidation(
        total / repeats,
        total.argmax(1),
        mean_right / len(rows),
        interval(round(mean_right), len(rows)),
        tuple(accuracies),
        tuple(penalties),
    )


def nearest_neighbours(
    features: Floats,
    labels: npt.ArrayLike,
    *,
    k: int = 5,
    groups: Groups | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Neighbours:
    """Let the `k` images of the other folds whose features (N, D) point in the most similar direction vote.

    Similarity is the cosine; a tie goes to the class whose voters are more similar. Nothing is fitted.
    """
    rows, numbers = check(features, labels)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
    predictions = np.zeros(len(rows), np.int64)
    for train, test in _folds(numbers, groups, folds, seed):
        for start in range(0, len(test), _CHUNK):
            part = test[start : start + _CHUNK]
            predictions[part] = _vote(unit[part] @ unit[train].T, numbers[train], k)
    right = int((predictions == numbers).sum())
    return Neighbours(predictions, right / len(rows), interval(right, len(rows)))


def _vote(similarity: Float32, labels: Int64, k: int) -> Int64:
    k = min(k, similarity.shape[1])
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    # k votes of a little more or less than 1: the sum of similarities decides ties and no more
    votes = np.zeros((len(similarity), int(labels.max()) + 1))
    near = np.take_along_axis(similarity, nearest, axis=1).astype(np.float64)
    np.add.at(votes, (np.arange(len(votes))[:, None], labels[nearest]), 1 + near / (4 * k))
    return np.asarray(votes.argmax(1), dtype=np.int64)
