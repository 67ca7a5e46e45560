"""Verdicts: who reaches a figure, who is near it, and by how much the others miss it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.reproduction.published import Claim
from neocog.reproduction.verdict import Sample, judge

ACCURACY, LOSS = Claim("test_accuracy", 0.99), Claim("lowest_valid_loss", 0.0324, "lower")


@pytest.mark.parametrize(
    ("claim", "values", "images", "outcome", "short"),
    [
        (ACCURACY, [0.99], 10_000, "reached", 0),
        (ACCURACY, [0.98, 1.0], 10_000, "reached", 0),
        # sqrt(0.9881 * 0.0119 / 10000) = 0.001084, so two standard errors are 0.002168
        (ACCURACY, [0.9881], 10_000, "within the spread", 0.0019),
        (ACCURACY, [0.9870], 10_000, "missed", 0.003),
        (ACCURACY, [0.9870], 1_000, "within the spread", 0.003),
        (ACCURACY, [0.98, 0.985, 0.9905], 10_000, "within the spread", 0.99 - 2.9555 / 3),
        (LOSS, [0.0324], 10_000, "reached", 0),
        (LOSS, [0.0330], 10_000, "missed", 0.0006),
        # stdev 0.0002, two standard errors 0.000283
        (LOSS, [0.0325, 0.0325 + math.sqrt(2) * 0.0002], 0, "within the spread", 0.0001 + math.sqrt(0.5) * 0.0002),
        (LOSS, [0.0330, 0.0330], 10_000, "missed", 0.0006),
        (Claim("test_error", 0.0095, "lower"), [0.0095], 10_000, "reached", 0),
        (Claim("test_error", 0.0095, "lower"), [0.0110], 10_000, "within the spread", 0.0015),
        (Claim("parameters", 100, "equal"), [100, 100], 0, "equal", 0),
        (Claim("parameters", 100, "equal"), [100, 98], 0, "different", 2),
        (Claim("parameters", 8_000, "lower", "fewer than"), [7_999], 0, "reached", 0),
        (Claim("parameters", 8_000, "lower", "fewer than"), [8_000], 0, "missed", 1),
        (Claim("epochs", 11, "neither"), [14], 0, "none", 0),
        (Claim("test_accuracy"), [0.5], 10_000, "none", 0),
    ],
)
def test_verdicts(claim: Claim, values: list[float], images: int, outcome: str, short: float) -> None:
    verdict = judge(claim, values, goal=False, images=images)
    assert verdict.outcome == outcome
    assert verdict.short == pytest.approx(short)


def test_a_goal_is_reached_by_the_mean_or_not_at_all() -> None:
    values = [0.9955, 0.9961]
    assert judge(Claim("test_accuracy", 0.996), values, goal=False, images=10_000).outcome == "within the spread"
    assert judge(Claim("test_accuracy", 0.996), values, goal=True, images=10_000).outcome == "missed"
    # 0.996 is not a float: the sum of five of them must not fall short by a rounding
    assert judge(Claim("test_accuracy", 0.996), [0.995, 0.997, 0.996, 0.9961, 0.9959], goal=True, images=1).short == 0


def test_the_binomial_error_does_not_shrink_with_the_seeds() -> None:
    few, many = [0.9881], [0.9881] * 100
    for values in (few, many):
        assert judge(ACCURACY, values, goal=False, images=10_000).outcome == "within the spread"


@given(st.lists(st.floats(0.5, 1), min_size=1, max_size=6), st.floats(0.5, 1), st.booleans())
def test_a_verdict_follows_the_mean(values: list[float], number: float, goal: bool) -> None:
    verdict = judge(Claim("test_accuracy", number), values, goal=goal, images=10_000)
    mean = math.fsum(values) / len(values)
    assert (verdict.outcome == "reached") == (number - mean <= 1e-12)
    assert verdict.short == pytest.approx(max(number - mean, 0), abs=1e-11)


def test_a_sample_of_one_has_no_spread() -> None:
    assert Sample((0.5,)).spread is None
    assert Sample((1.0, 2.0, 6.0)).spread == pytest.approx(math.sqrt(7))
    assert (Sample((1.0, 2.0, 6.0)).mean, Sample((1.0, 2.0)).low, Sample((1.0, 2.0)).high) == (3, 1, 2)
