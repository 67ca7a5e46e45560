"""How far probabilities can be trusted: the expected calibration error and its reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

BINS = 15


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies in (`low`, `high`]: how many, their mean confidence and their accuracy.

    Confidence and accuracy are None where there is no such answer.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None

    @property
    def gap(self) -> float | None:
        """Confidence less accuracy, -1 to 1: above 0 where the answers are surer than they are right."""
        return None if self.confidence is None or self.accuracy is None else self.confidence - self.accuracy


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy, bin by bin (Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural
    Networks).

    `ece`, the expected calibration error, is the mean of the bins' absolute gaps, each weighted by its number of
    answers: 0 (a confidence of 90 % is right 90 times in 100) to 1. `confidence` and `accuracy` are the means over
    all answers.
    """

    ece: float
    bins: tuple[Bin, ...]
    confidence: float
    accuracy: float

    @property
    def largest_gap(self) -> float:
        """The largest absolute gap of any bin, 0 to 1 (the maximum calibration error)."""
        return max(abs(found.gap) for found in self.bins if found.gap is not None)

    def figures(self) -> dict[str, Any]:
        """The figures as plain numbers, for a file."""
        return {
            "ece": self.ece,
            "largest_gap": self.largest_gap,
            "mean_confidence": self.confidence,
            "bins": [
                {"low": part.low, "high": part.high, "images": part.count}
                | {"confidence": part.confidence, "accuracy": part.accuracy}
                for part in self.bins
            ],
        }


def calibrate_bins(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Compare the confidences, float64 (N,) in 0..1, with which of the answers are right, bool (N,).

    The bins are of equal width; each has its upper end and not its lower one, the first has 0 as well. Raises
    `DataError` without a single answer, for fewer than one bin, and for confidences outside of 0..1.
    """
    if bins < 1:
        raise DataError(f"bins = {bins}: expected a number of bins, at least 1, such as {BINS}.")
    if not len(confidence) or len(confidence) != len(right):
        raise DataError(f"calibration needs answers; got {len(confidence)} confidences, {len(right)} answers.")
    if not (confidence.min() >= 0 and confidence.max() <= 1 + 1e-9):
        raise DataError(f"confidences lie in 0..1; got {confidence.min()} to {confidence.max()}.")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = []
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if count else (None, None)
        found.append(Bin(float(edges[number]), float(edges[number + 1]), count, *means))
    error = sum(part.count * abs(part.gap) for part in found if part.gap is not None) / len(confidence)
    return Calibration(float(error), tuple(found), float(confidence.mean()), float(right.mean()))
