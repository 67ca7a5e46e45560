import math

import pytest

from neocog.recipe import TrainSettings
from neocog.training.stopping import Stopping


@pytest.mark.parametrize(
    ("monitor", "mode", "validates", "expected"),
    [
        ("valid_loss", "auto", True, ("valid_loss", "min")),
        ("valid_accuracy", "auto", True, ("valid_accuracy", "max")),
        ("valid_accuracy", "auto", False, ("train_accuracy", "max")),
        ("train_loss", "auto", False, ("train_loss", "min")),
        ("valid_loss", "max", True, ("valid_loss", "max")),
    ],
)
def test_which_figure_in_which_direction(monitor: str, mode: str, validates: bool, expected: tuple[str, str]) -> None:
    settings = TrainSettings.model_validate({"monitor": monitor, "mode": mode})
    found = Stopping.from_settings(settings, validates=validates)
    assert (found.monitor, found.mode) == expected


def best_and_waits(mode: str, values: list[float], min_delta: float = 0.0) -> tuple[list[bool], list[int]]:
    stopping = Stopping("x", mode)
    better, waits = [], []
    for value in values:
        better.append(stopping.improves({"x": value}, min_delta))
        waits.append(stopping.waited)
    return better, waits


def test_smaller_is_better_or_greater_is() -> None:
    values = [3.0, 2.0, 2.5, 2.0, 1.0]
    assert best_and_waits("min", values) == ([True, True, False, False, True], [0, 0, 1, 2, 0])
    assert best_and_waits("max", values) == ([True, False, False, False, False], [0, 1, 2, 3, 4])


def test_too_small_an_improvement_is_none_and_they_do_not_add_up_unseen() -> None:
    better, waits = best_and_waits("min", [1.0, 0.95, 0.89, 0.85], min_delta=0.1)
    assert better == [True, False, True, False]
    assert waits == [0, 1, 0, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_not_finite_is_never_the_best(bad: float, mode: str) -> None:
    better, waits = best_and_waits(mode, [bad, 1.0, bad])
    assert better == [False, True, False]
    assert waits == [1, 0, 1]


def test_patience() -> None:
    stopping = Stopping("x", "min", best=0.0, waited=2)
    assert not stopping.exhausted(None)
    assert not stopping.exhausted(3)
    assert stopping.exhausted(2)
