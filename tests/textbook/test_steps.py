from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import NeocogError
from neocog.textbook import (
    Step,
    average_pool1d,
    average_pool2d,
    convolution_steps,
    convolve1d,
    convolve2d,
    correlate1d,
    correlate2d,
    correlation_steps,
    max_pool1d,
    max_pool2d,
    pool_steps,
    taking_part,
)

from .cases import SEEDS, SOME, Array, Case, cases, close

either = pytest.mark.parametrize("axes", [1, 2])
# PyTorch warns of copies that it makes
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def check_window(step: Step, image: Array, filling: float) -> None:
    """Every tap shows the value of the image at its place, or what fills the padding."""
    for taps in product(*(range(size) for size in step.window.shape[1:])):
        place = tuple(first + tap * apart for first, tap, apart in zip(step.start, taps, step.dilation, strict=True))
        inside = all(0 <= at < size for at, size in zip(place, image.shape[1:], strict=True))
        expected = image[(slice(None), *place)] if inside else np.full(len(image), filling)
        assert step.window[(slice(None), *taps)].tolist() == expected.tolist()


def values(steps: Iterator[Step], shape: tuple[int, ...]) -> Array:
    """The values at their channels and positions; each exactly once, in reading order."""
    listed = list(steps)
    assert [(step.channel, *step.position) for step in listed] == list(np.ndindex(shape))
    return np.array([step.value for step in listed]).reshape(shape)


@either
@pytest.mark.parametrize("kind", ["correlation", "convolution"])
@SOME
@given(data=st.data())
def test_the_steps_add_up_to_the_output_and_see_what_is_there(kind: str, axes: int, data: st.DataObject) -> None:
    case: Case = data.draw(cases(axes))
    x, weight, bias = case.arrays
    watch: Callable[..., Iterator[Step]] = correlation_steps if kind == "correlation" else convolution_steps
    forward: Any = {
        ("correlation", 1): correlate1d, ("convolution", 1): convolve1d,
        ("correlation", 2): correlate2d, ("convolution", 2): convolve2d,
    }[kind, axes]  # fmt: skip
    output = forward(x[:1], weight, bias, **case.sliding)[0]
    close(values(watch(x[0], weight, bias, **case.sliding), output.shape), output)
    seen = case.channels // case.groups
    for step in list(watch(x[0], weight, bias, **case.sliding))[:: max(1, output.size // 20)]:
        group = step.channel // (case.maps // case.groups)
        check_window(step, x[0, group * seen : (group + 1) * seen], 0.0)
        kernel = weight[step.channel] if kind == "correlation" else np.flip(weight[step.channel], range(1, axes + 1))
        assert np.array_equal(step.kernel, kernel)
        assert np.array_equal(step.products, step.window * kernel)
        assert step.bias == bias[step.channel]
        close(step.products.sum() + step.bias, step.value)


@either
@pytest.mark.parametrize("kind", ["max", "average"])
@SOME
@given(seed=SEEDS, kernel=st.integers(1, 4), stride=st.none() | st.integers(1, 3), data=st.data())
def test_the_steps_of_a_pool_give_its_output(
    kind: Any, axes: int, seed: int, kernel: int, stride: int | None, data: st.DataObject
) -> None:
    padding = data.draw(st.integers(0, kernel // 2))
    x = np.random.default_rng(seed).normal(size=(2, 5, 6)[: axes + 1])
    pool: Any = {
        ("max", 1): max_pool1d, ("max", 2): max_pool2d, ("average", 1): average_pool1d, ("average", 2): average_pool2d,
    }[kind, axes]  # fmt: skip
    output = pool(x, kernel, stride=stride, padding=padding)
    close(values(pool_steps(x, kernel, stride=stride, padding=padding, kind=kind), output.shape), output)
    for step in pool_steps(x, kernel, stride=stride, padding=padding, kind=kind):
        check_window(step, x[step.channel : step.channel + 1], -np.inf if kind == "max" else 0.0)
        assert step.bias == 0
        if kind == "max":
            assert step.kernel is None and np.array_equal(step.products, step.window)
            assert step.value == step.products.max()
        else:
            assert step.kernel is not None and np.array_equal(step.products, step.window * step.kernel)
            close(step.products.sum(), step.value)


def test_a_line_and_a_map_need_no_channels() -> None:
    assert [step.value for step in correlation_steps([1, 2, 0, 3, 1, 1], [2, 1, -1])] == [4, 1, 2, 6]
    assert [step.value for step in convolution_steps([1, 2, 0, 3, 1, 1], [2, 1, -1], 10)] == [11, 14, 15, 10]
    first = next(correlation_steps(np.arange(9).reshape(3, 3), np.ones((2, 2)), padding=1))
    assert first.window.shape == (1, 2, 2) and first.start == (-1, -1) and first.value == 0


def test_only_the_steps_that_are_asked_for_are_made() -> None:
    huge = np.zeros((1, 4000, 4000))
    steps = correlation_steps(huge, np.ones((1, 1, 3, 3)))
    assert [next(steps).position for _ in range(3)] == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize(
    ("padding", "counts"),
    [("valid", [1, 2, 3, 2, 1]), ("same", [2, 3, 3, 3, 2]), ("full", [3, 3, 3, 3, 3])],
)
def test_how_often_each_of_five_inputs_takes_part_is_as_the_course_says(padding: Any, counts: list[int]) -> None:
    assert taking_part(5, 3, padding).tolist() == counts
    assert taking_part((5, 5), 3, padding).tolist() == np.outer(counts, counts).tolist()


@either
@SOME
@given(data=st.data())
def test_how_often_each_input_takes_part_is_the_gradient_of_a_sum_of_windows(axes: int, data: st.DataObject) -> None:
    case: Case = data.draw(cases(axes))
    x = torch.zeros((1, 1, *case.size), dtype=torch.float64, requires_grad=True)
    kernel = torch.ones((1, 1, *case.kernel), dtype=torch.float64)
    pytorchs: Any = F.conv1d if axes == 1 else F.conv2d
    sum_of_all = pytorchs(x, kernel, stride=case.stride, padding=case.padding, dilation=case.dilation).sum()
    [expected] = torch.autograd.grad(sum_of_all, x)
    found = taking_part(case.size, case.kernel, case.padding, case.stride, case.dilation)
    assert found.dtype == np.int64
    assert found.tolist() == expected[0, 0].tolist()


def test_a_size_may_be_a_number_of_numpy() -> None:
    assert taking_part(np.int64(5), 3).tolist() == [1, 2, 3, 2, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correlation_steps(np.zeros((3, 8, 8)), np.zeros((3, 5, 5))), r"got \(3, 8, 8\) and \(3, 5, 5\)"),
        (lambda: correlation_steps(np.zeros((3, 8, 8)), np.zeros((4, 1, 5, 5))), r"weight \(maps, 3, height, width\)"),
        (lambda: convolution_steps(np.zeros((3, 8, 8)), np.zeros(5)), r"got \(3, 8, 8\) and \(5,\)"),
        (lambda: correlation_steps(np.zeros((3, 4, 4)), np.zeros((1, 3, 5, 5))), "5x5 fits nowhere on 4x4"),
        (lambda: pool_steps(np.zeros(8), 2), r"\(channels, height, width\) or \(channels, length\), not \(8,\)"),
        (lambda: pool_steps(np.zeros((1, 8)), 2, kind="mean"), "'max' or 'average', not 'mean'"),
        (lambda: pool_steps(np.zeros((1, 8)), 9), "9 fits nowhere on 8"),
        (lambda: taking_part(5, 7), "7 fits nowhere on 5"),
        (lambda: taking_part(-5, 1), "size is a whole number of at least 0"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(NeocogError, match=message):
        call()


def test_the_textbook_imports_no_torch() -> None:
    code = "import sys, neocog.textbook; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
