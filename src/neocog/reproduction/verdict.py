"""Whether our runs reach a published figure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neocog.reproduction.figures import FIGURES
from neocog.reproduction.published import Claim

Outcome = Literal["reached", "within the spread", "missed", "equal", "different", "none"]
# what rounding in the last place of a mean may amount to
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Sample:
    """The values of one figure over several seeds: at least one.

    `spread` is the sample standard deviation, None for a single value.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean, correctly rounded."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation (n - 1), None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(self.values)


@dataclass(frozen=True)
class Verdict:
    """How our mean stands to a claim: `short` is by how much it is worse, in the figure's unit; 0 where it is not."""

    outcome: Outcome
    short: float = 0.0


def judge(claim: Claim, values: Sequence[float], *, goal: bool, images: int) -> Verdict:
    """Compare the values of one figure over the seeds with a claim.

    "reached": the mean is at least as good as the number. "within the spread": it is worse, but the number lies
    within our smallest and largest value, or within two standard errors of the mean; for accuracies and errors
    these include the binomial error of the `images` they were measured on. A `goal` is reached or missed, nothing
    between. "equal" and "different" answer a claim of exactly this number; "none" stands for a claim without a
    number or a direction.
    """
    if claim.number is None or claim.better == "neither":
        return Verdict("none")
    sample = Sample(tuple(values))
    if claim.better == "equal":
        off = max(abs(value - claim.number) for value in values)
        return Verdict("different", off) if off else Verdict("equal")
    # "fewer than" leaves the number itself out; only counts are claimed so.
    limit = claim.number - 1 if claim.relation == "fewer than" else claim.number
    short = limit - sample.mean if claim.better == "higher" else sample.mean - limit
    if short <= _ROUNDING:
        return Verdict("reached")
    inside = sample.low <= limit <= sample.high
    if not goal and (inside or short <= 2 * _standard_error(claim, sample, images)):
        return Verdict("within the spread", short)
    return Verdict("missed", short)


def _standard_error(claim: Claim, sample: Sample, images: int) -> float:
    variance = (sample.spread or 0.0) ** 2 / len(sample.values)
    if FIGURES[claim.figure].unit == "percent" and images:
        # The seeds share their images: more seeds do not make this part smaller.
        variance += sample.mean * (1 - sample.mean) / images
    return math.sqrt(variance)
