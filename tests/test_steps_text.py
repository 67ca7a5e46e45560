"""A step as text: what is printed adds up, the padding is told apart, and what is too large is shortened."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.steps_text import numbers_text, step_text
from neocog.textbook import Step, correlation_steps, pool_steps

GOLDEN = Path(__file__).parent / "golden"


def whole(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers from -3 to 3 that look like drawn ones and are the same with every version of NumPy."""
    made: np.ndarray = np.round(3 * np.sin(np.arange(np.prod(shape)) * (seed + 1.7) + seed)).reshape(shape)
    return made


def fractions(shape: tuple[int, ...], seed: int, size: float = 1.0) -> np.ndarray:
    made: np.ndarray = size * np.sin(np.arange(np.prod(shape)) * (seed + 1.3) + seed).reshape(shape)
    return made


def nth(steps: object, place: int) -> Step:
    step: Step = next(islice(iter(steps), place, None))  # type: ignore[call-overload]
    return step


def examples() -> list[tuple[str, str]]:
    """A title and a text for each kind of step."""
    image, kernel = whole((2, 5, 5), 0), whole((3, 2, 3, 3), 1)
    floats = fractions((16, 6, 6), 2)
    weights = fractions((2, 16, 3, 3), 3, 0.1)
    corner = nth(correlation_steps(image, kernel, [1, 0, -2], padding=1), 4)
    many = nth(correlation_steps(floats, weights, [0.25, 0.5], dilation=2), 1)
    return [
        ("whole numbers, the padding at the right known", step_text(corner, size=(5, 5))),
        ("the same without the size of the input", step_text(corner)),
        ("many channels of fractions, with dilation", step_text(many, size=(6, 6))),
        ("1x1", step_text(nth(correlation_steps(floats[:3], weights[:1, :3, :1, :1]), 7), size=(6, 6))),
        ("one dimension", step_text(nth(correlation_steps([1, 2, 0, 3, 1, 1], [2, 1, -1], padding=1), 0), size=(6,))),
        ("three channels of one dimension", step_text(nth(correlation_steps(floats[:3, 0], weights[:1, :3, 0]), 1))),
        ("max pool", step_text(nth(pool_steps(image, 3, stride=2, padding=1), 0), size=(5, 5))),
        ("average pool", step_text(nth(pool_steps(image, 2, kind="average"), 3), size=(5, 5))),
        ("a long row", step_text(linear_step(400))),
        ("a large window", step_text(nth(correlation_steps(whole((20, 20), 4), whole((13, 14), 5)), 0))),
    ]


def linear_step(inputs: int) -> Step:
    window, kernel = (fractions((1, inputs), seed) for seed in (6, 7))
    products = window * kernel
    return Step((3,), (0,), window, kernel, products, 0.5, float(products.sum() + 0.5), 0, (1,))


def test_every_kind_of_step_reads_as_it_should() -> None:
    told = "\n\n".join(f"# {title}\n{text}" for title, text in examples()) + "\n"
    assert told == (GOLDEN / "steps_text.txt").read_text(encoding="utf-8")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.integers(0, 8), st.integers(0, 99)
)
def test_the_numbers_that_are_printed_add_up(
    channels: int, height: int, width: int, padding: int, place: int, seed: int
) -> None:
    image, kernel = whole((channels, 5, 6), seed), whole((1, channels, height, width), seed + 1)
    steps = list(islice(correlation_steps(image, kernel, [seed % 5], padding=padding), place + 1))
    step = steps[-1]
    lines = step_text(step, size=(5, 6), channels=channels).splitlines()
    rows = [re.findall(r"\[([^]]*)\]", line) for line in lines]
    tables = [[[0 if cell == "·" else int(cell) for cell in part.split()] for part in row] for row in rows if row]
    assert len(tables) == channels * height
    for window, weights, products in tables:
        # a dot stands for a zero of the padding
        assert [a * b for a, b in zip(window, weights, strict=True)] == products
    assert sum(sum(products) for *_, products in tables) + seed % 5 == step.value
    [total] = [line for line in lines if re.match(r"  sum .*", line)]
    assert float(total.split()[-1]) == step.value


def test_the_padding_is_told_apart_from_zeros_of_the_input() -> None:
    step = nth(correlation_steps(np.zeros((3, 3)), np.ones((3, 3)), padding=1), 8)
    assert step_text(step, size=(3, 3)).count("[0 0 ·]     [1 1 1]     [0 0 ·]") == 1
    assert "·" not in step_text(step)
    assert "·" in step_text(nth(correlation_steps(np.zeros((3, 3)), np.ones((3, 3)), padding=1), 0))


def test_padding_that_is_not_zero_stands_in_brackets() -> None:
    step = nth(correlation_steps(np.ones((2, 2)), np.ones((2, 2)), padding=1), 0)
    reflected = replace(step, window=np.full((1, 2, 2), 7.0), products=np.full((1, 2, 2), 7.0), value=28.0)
    text = step_text(reflected)
    assert "[(7) (7)]" in text and "[(7)   7]" in text
    assert text.endswith("what stands in brackets lies in the padding")


@pytest.mark.parametrize("width", [70, 80, 100, 120])
def test_lines_fit_the_width_as_long_as_three_columns_do(width: int) -> None:
    for step in (linear_step(50), nth(correlation_steps(fractions((9, 9), 0), fractions((7, 7), 1)), 0)):
        assert max(map(len, step_text(step, width=width, title=False).splitlines())) <= width


def test_the_channels_that_are_left_out_are_counted_and_summed() -> None:
    step = nth(correlation_steps(whole((9, 3, 3), 1), whole((1, 9, 3, 3), 2)), 0)
    text = step_text(step, channels=3)
    assert "channel 1 " in text and "channel 2 " not in text
    assert f"… 7 more channels, sum {step.products[2:].sum():.0f}" in text
    assert "more channel" not in step_text(step, channels=9)


def test_the_title_can_be_left_out() -> None:
    step = linear_step(3)
    assert step_text(step).splitlines()[1:] == step_text(step, title=False).splitlines()


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, -2, 30], ["1", "-2", "30"]),
        ([0.5, -2, 30], ["0.50", "-2.00", "30.00"]),
        ([-0.001, 0.5], ["0.00", "0.50"]),
        ([0.00123, -0.0004], ["0.0012", "-0.0004"]),
        ([1e-9, 2e-9], ["1.00e-09", "2.00e-09"]),
        ([1.5e8, 1], ["1.50e+08", "1.00e+00"]),
        ([0, -np.inf], ["0", "-inf"]),
        ([0.5, np.nan], ["0.50", "nan"]),
        ([], []),
    ],
)
def test_numbers_share_one_format(values: list[float], texts: list[str]) -> None:
    assert numbers_text(values) == texts


def test_a_value_that_is_not_a_number_is_printed_as_one() -> None:
    step = linear_step(3)
    broken = replace(step, window=step.window * np.nan, products=step.products * np.nan, value=float("nan"))
    assert "nan" in step_text(broken)
