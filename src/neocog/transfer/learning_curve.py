"""Learning curve: how accuracy grows with the number of images, and what more of them would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neocog.errors import DataError
from neocog.transfer.folds import Groups, Int64, folds, interval
from neocog.transfer.head import Float64, Floats, check, fit_head

# 1, 2, 5, 10, 20, …
_STEPS = tuple(step * 10**power for power in range(6) for step in (1, 2, 5))
_DRAWS = 400
_EXPONENTS = np.geomspace(0.05, 2, 60)
_REACH = 20
# a forecast whose interval is wider than this says nothing
_WIDEST = 0.25


@dataclass(frozen=True)
class CurvePoint:
    """A point: `images` a class (their mean, where classes are smaller than asked for), the accuracy, its 95 %
    interval (Wilson), and how many answers of how many were right."""

    images: float
    accuracy: float
    interval: tuple[float, float]
    right: int
    total: int


@dataclass(frozen=True, eq=False)
class Forecast:
    """The power law accuracy(n) = ceiling - scale * n ** -exponent for n images a class, with its uncertainty.

    `draws` float64 (M, 3) are (ceiling, scale, exponent) fitted to points drawn anew within their own uncertainty.
    `misfit` is how far the law fitted to all points but the last was off at the last one.
    """

    ceiling: float
    scale: float
    exponent: float
    draws: Float64
    misfit: float

    def accuracy(self, images: float) -> float:
        """Give the accuracy to expect with so many images a class, 0 to 1."""
        return float(np.clip(self.ceiling - self.scale * images**-self.exponent, 0, 1))

    def interval(self, images: float) -> tuple[float, float]:
        """Give the 2.5 and 97.5 % quantiles of that accuracy, with the misfit to either side.

        They know nothing of how the new images may differ from those at hand.
        """
        ceiling, scale, exponent = self.draws.T
        low, high = np.quantile(ceiling - scale * images**-exponent, (0.025, 0.975))
        return float(np.clip(low - self.misfit, 0, 1)), float(np.clip(high + self.misfit, 0, 1))


def learning_curve(
    features: Floats,
    labels: npt.ArrayLike,
    sizes: Sequence[int] | None = None,
    repeats: int = 3,
    groups: Groups | None = None,
    seed: int = 0,
) -> tuple[CurvePoint, ...]:
    """Fit heads to some images of each class of features (N, D), and ask them about a fold that they did not see.

    `sizes` are images a class, smallest first; left out, 1, 2, 5, 10, … and all. Each repeat (1 to 5) has a test fold
    of its own, so no image is asked about twice for the same size, and its smaller sets lie within the larger ones.
    Where a class has fewer images than asked for, it gives all. Raises `DataError` as `folds` and `fit_head` do.
    """
    rows, numbers = check(features, labels)
    if not 1 <= repeats <= 5:
        raise DataError(f"a learning curve has 1 to 5 repeats, one a fold; got {repeats}.")
    numbers = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    parts = folds(numbers, groups, 5, seed)[:repeats]
    num_classes = int(numbers.max()) + 1
    most = max(int(np.bincount(numbers[train]).max()) for train, _ in parts)
    wanted = [*(size for size in _STEPS if size < 0.8 * most), most] if sizes is None else sizes
    points = []
    for size in wanted:
        right = total = drawn = 0
        for number, (train, test) in enumerate(parts):
            part = _first(numbers, train, size, seed + number)
            inner = None if groups is None else [groups[int(row)] for row in part]
            head = fit_head(rows[part], numbers[part], num_classes, groups=inner, seed=seed)
            right += int((head.logits(rows[test]).argmax(1) == numbers[test]).sum())
            total, drawn = total + len(test), drawn + len(part)
        images = drawn / len(parts) / num_classes
        points.append(CurvePoint(images, right / total, interval(right, total), right, total))
    return tuple(points)


def extrapolate(points: Sequence[CurvePoint], seed: int = 0) -> Forecast | None:
    """Fit ceiling - scale * n ** -exponent (0.05 to 2) to the last points, by weighted least squares.

    Such power laws describe learning curves well over a decade or so (Hestness et al. 2017, "Deep learning scaling is
    predictable, empirically"), so points below a twentieth of the largest size are left out where four others remain.
    None where the points do not allow it: fewer than four, no rise, or an interval for twice the images that is
    wider than 25 points.
    """
    if len(points) < 4 or points[-1].accuracy <= points[0].accuracy:
        return None
    near = sum(point.images * _REACH >= points[-1].images for point in points)
    points = points[-max(4, near) :]
    images = np.array([point.images for point in points])
    right, total = (np.array([getattr(point, key) for point in points]) for key in ("right", "total"))
    # half an answer of each kind more (Agresti, Coull 1998): a point without mistakes is not certain
    smoothed = (right + 0.5) / (total + 1)
    deviation = np.sqrt(smoothed * (1 - smoothed) / total)
    generator = np.random.default_rng(seed)
    drawn = generator.binomial(total, smoothed, (_DRAWS, len(points))) / total
    draws = _fitted(images, drawn, deviation)
    before = _law(_fitted(images[:-1], right[:-1] / total[:-1], deviation[:-1]), images[-1:])
    ceiling, scale, exponent = _fitted(images, right / total, deviation).tolist()
    forecast = Forecast(ceiling, scale, exponent, draws, abs(float(before[0]) - points[-1].accuracy))
    low, high = forecast.interval(2 * float(images[-1]))
    return forecast if high - low <= _WIDEST else None


def _first(labels: Int64, train: Int64, size: int, seed: int) -> Int64:
    """Give `size` rows of each class, always the same first ones for a seed."""
    shuffled = np.random.default_rng(seed).permutation(train)
    kept = [shuffled[labels[shuffled] == label][:size] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept))


def _law(values: Float64, images: Float64) -> Float64:
    ceiling, scale, exponent = values
    return np.asarray(ceiling - scale * images**-exponent)


def _fitted(images: Float64, accuracies: Float64, deviation: Float64) -> Float64:
    """Give (ceiling, scale, exponent) of least squares for accuracies (…, P): float64 (…, 3).

    For a given exponent the law is linear in the other two; the exponents are tried in turn.
    """
    weight = deviation**-2
    found = [_fitted_line(images**-exponent, accuracies, weight) for exponent in _EXPONENTS]
    ceilings, scales, errors = (np.stack(values, axis=-1) for values in zip(*found, strict=True))
    best = errors.argmin(axis=-1)[..., None]
    taken = [np.take_along_axis(values, best, axis=-1)[..., 0] for values in (ceilings, scales)]
    return np.stack([*taken, _EXPONENTS[best[..., 0]]], axis=-1)


def _fitted_line(x: Float64, y: Float64, weight: Float64) -> tuple[Float64, Float64, Float64]:
    """Give the ceiling (at most 1), the scale (at least 0) and the weighted squared error of y = ceiling - scale x."""
    total = weight.sum()
    mean_x, mean_y = (weight * x).sum() / total, (weight * y).sum(-1) / total
    spread = (weight * (x - mean_x) ** 2).sum()
    scale = np.maximum(0, -(weight * (x - mean_x) * (y - mean_y[..., None])).sum(-1) / spread)
    ceiling = mean_y + scale * mean_x
    through_one = (weight * x * (1 - y)).sum(-1) / (weight * x**2).sum()
    scale, ceiling = np.where(ceiling > 1, through_one, scale), np.minimum(ceiling, 1)
    error = (weight * (ceiling[..., None] - scale[..., None] * x - y) ** 2).sum(-1)
    return ceiling, scale, error
