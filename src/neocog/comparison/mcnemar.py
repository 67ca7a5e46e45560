"""Whether one classifier is better than another on the same images, or only luckier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

# Below this many discordant pairs the chi-square distribution is too rough and the exact one is used.
EXACT_BELOW = 25


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two classifiers on the same images (McNemar 1947).

    `first_only` images are answered rightly by the first alone, `second_only` by the second alone; the others say
    nothing. `p` is the probability of a difference at least as large if both were equally good: two-sided, from the
    binomial distribution where `exact` (fewer than 25 such images), else from the chi-square distribution with one
    degree of freedom of `statistic`, (|b - c| - 1)^2 / (b + c) (Edwards 1948), which is None where exact.
    """

    first_only: int
    second_only: int
    p: float
    exact: bool
    statistic: float | None


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Test two classifiers by which of N images each has right, bool (N,).

    Raises `DataError` where these are not of the same images.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise DataError(f"expected the answers to the same images; got {first.shape} and {second.shape}.")
    return from_counts(int((first & ~second).sum()), int((second & ~first).sum()))


def from_counts(first_only: int, second_only: int) -> McNemar:
    """Test by the counts of images that the first alone and the second alone has right."""
    from scipy.stats import binomtest, chi2

    total = first_only + second_only
    if total < EXACT_BELOW:
        p = float(binomtest(first_only, total).pvalue) if total else 1.0
        return McNemar(first_only, second_only, p, True, None)
    # without a difference there is nothing to correct
    statistic = max(abs(first_only - second_only) - 1, 0) ** 2 / total
    return McNemar(first_only, second_only, float(chi2.sf(statistic, 1)), False, statistic)


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values for having asked several times (Holm 1979), in their order.

    The chance that any of the equally good pairs falls below a limit is then at most that limit.
    """
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda number: values[number])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = largest
    return adjusted
