"""Learning curves rise where there is something to learn, and forecasts hold what comes."""

from __future__ import annotations

import numpy as np
import pytest

from neocog.errors import DataError
from neocog.transfer.folds import interval
from neocog.transfer.learning_curve import CurvePoint, extrapolate, learning_curve


def points(sizes: list[int], accuracies: list[float], total: int = 2_000) -> list[CurvePoint]:
    rights = [round(accuracy * total) for accuracy in accuracies]
    return [
        CurvePoint(size, right / total, interval(right, total), right, total)
        for size, right in zip(sizes, rights, strict=True)
    ]


def noisy_clouds(per_class: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    labels = np.arange(2 * per_class) % 2
    features = draws.normal(size=(len(labels), 20)).astype(np.float32)
    features[:, 0] += 3 * labels
    return features, labels


def test_a_curve_rises_and_asks_each_image_once() -> None:
    features, labels = noisy_clouds(100)
    curve = learning_curve(features, labels, repeats=2)
    assert [point.images for point in curve] == [1, 2, 5, 10, 20, 50, 80]
    assert all(point.total == 80 for point in curve)
    assert curve[-1].accuracy > 0.88 > 0.75 > curve[0].accuracy
    assert all(point.interval == interval(point.right, point.total) for point in curve)


def test_sizes_are_taken_as_given_and_small_classes_give_all() -> None:
    features, labels = noisy_clouds(40)
    kept = np.flatnonzero((labels == 0) | (np.arange(80) < 20))
    (point,) = learning_curve(features[kept], labels[kept], sizes=[20], repeats=1)
    assert point.images == (20 + 8) / 2
    with pytest.raises(DataError, match="1 to 5 repeats"):
        learning_curve(features, labels, repeats=6)


def test_a_power_law_is_found_again() -> None:
    sizes = [5, 10, 20, 50, 100]
    forecast = extrapolate(points(sizes, [0.98 - 0.8 * size**-0.5 for size in sizes], total=200_000))
    assert forecast is not None
    assert (forecast.ceiling, forecast.scale, forecast.exponent) == pytest.approx((0.98, 0.8, 0.5), abs=0.02)
    low, high = forecast.interval(400)
    assert low <= 0.98 - 0.8 / 20 <= high
    assert forecast.accuracy(400) == pytest.approx(0.94, abs=0.005)


def test_a_forecast_holds_the_truth_about_as_often_as_it_says() -> None:
    sizes, draws, held = [2, 5, 10, 20, 50], np.random.default_rng(0), 0
    for _ in range(12):
        truth = [0.95 - 0.7 * size**-0.6 for size in sizes]
        rights = draws.binomial(300, truth)
        forecast = extrapolate(points(sizes, list(rights / 300), total=300))
        assert forecast is not None
        low, high = forecast.interval(100)
        held += low <= 0.95 - 0.7 * 100**-0.6 <= high
    assert held >= 10


@pytest.mark.parametrize(
    "given",
    [
        points([1, 2, 5], [0.5, 0.6, 0.7]),
        points([1, 2, 5, 10], [0.5, 0.5, 0.5, 0.5]),
        points([1, 2, 5, 10], [0.8, 0.7, 0.6, 0.5]),
        points([1, 2, 3, 4], [0.4, 0.6, 0.5, 0.6], total=10),
    ],
    ids=["few", "flat", "falling", "few answers"],
)
def test_there_is_no_forecast_where_the_points_allow_none(given: list[CurvePoint]) -> None:
    assert extrapolate(given) is None
