"""Stratified folds that keep groups together, and the interval of a proportion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neocog.errors import DataError

Int64 = npt.NDArray[np.int64]
Groups = Sequence[object] | npt.NDArray[Any]
Folds = list[tuple[Int64, Int64]]


def folds(labels: npt.ArrayLike, groups: Groups | None = None, count: int = 5, seed: int = 0) -> Folds:
    """Give (training rows, test rows) of `count` stratified folds, both ascending; each row is tested once.

    Rows of the same group (any values that can be told apart, one a row) are in the same fold. There are fewer folds
    where a class has fewer images or groups, two at least; a class that lies within one group is missing from the
    training rows of its fold. Raises `DataError` where a class has a single image, or there is a single group.
    """
    numbers = np.asarray(labels, np.int64)
    counts = np.unique(numbers, return_counts=True)
    single = [str(label) for label, images in zip(*counts, strict=True) if images < 2]
    if single or not len(numbers):
        raise DataError(
            f"cross-validation needs two images of each class; {', '.join(single[:5]) or 'no class'} has "
            f"{'one' if single else 'any'}. Add images, or leave the class out."
        )
    if groups is None:
        from sklearn.model_selection import StratifiedKFold

        splitter = StratifiedKFold(min(count, int(counts[1].min())), shuffle=True, random_state=seed % 2**32)
        return [(train.astype(np.int64), test.astype(np.int64)) for train, test in splitter.split(numbers, numbers)]
    number = _grouped(numbers, groups, count, seed)
    return [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(int(number.max()) + 1)]


def stratified_part(labels: Int64, most: int, seed: int) -> Int64:
    """Give the rows of a part in which the classes have their shares, and two images at least."""
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    rows = []
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rows.append(own[: max(2, round(most * len(own) / len(labels)))])
    return np.sort(np.concatenate(rows))


def interval(right: int, total: int) -> tuple[float, float]:
    """Give the 95 % confidence interval of a proportion (Wilson 1927): (low, high) within 0 to 1."""
    from scipy.stats import binomtest

    found = binomtest(right, total).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _grouped(labels: Int64, groups: Groups, count: int, seed: int) -> Int64:
    """Give the fold of each row: groups, large ones first, go where the fewest of their classes are."""
    _, units = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    if len(units) != len(labels):
        raise DataError(f"expected a group for each of {len(labels)} images; got {len(units)}.")
    sizes = np.bincount(units)
    if len(sizes) < 2:
        raise DataError("cross-validation needs two groups; all images belong to one. Leave groups out.")
    pairs = np.unique(np.stack([units, labels]), axis=1)
    least = int(np.unique(pairs[1], return_counts=True)[1].min())
    count = max(2, min(count, least))
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    rows = np.split(np.argsort(units, kind="stable"), np.cumsum(sizes)[:-1])
    held, totals = [Counter[int]() for _ in range(count)], [0] * count
    fold_of = np.empty(len(labels), np.int64)
    for unit in order:
        own = labels[rows[unit]].tolist()
        kinds = set(own)
        best = min(range(count), key=lambda fold: (sum(held[fold][kind] for kind in kinds), totals[fold]))
        fold_of[rows[unit]] = best
        held[best].update(own)
        totals[best] += len(own)
    return fold_of
