from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from neocog.errors import NeocogError
from neocog.textbook import (
    convolve1d,
    convolve1d_backward,
    convolve2d,
    convolve2d_backward,
    correlate1d,
    correlate1d_backward,
    correlate2d,
    correlate2d_backward,
)

from .cases import MANY, SEEDS, SOME, Case, cases, close, gradients

# for each number of axes: the textbook's correlation and convolution, each with its gradients; PyTorch's; the flip
OPERATIONS: dict[int, tuple[Any, ...]] = {
    1: (correlate1d, correlate1d_backward, convolve1d, convolve1d_backward, F.conv1d, [2]),
    2: (correlate2d, correlate2d_backward, convolve2d, convolve2d_backward, F.conv2d, [2, 3]),
}
either = pytest.mark.parametrize("axes", [1, 2])
# PyTorch warns of copies that it makes
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


@either
@MANY
@given(data=st.data())
def test_correlation_and_its_gradients_are_pytorchs(axes: int, data: st.DataObject) -> None:
    correlate, backward, _, _, pytorchs, _ = OPERATIONS[axes]
    case: Case = data.draw(cases(axes))
    x, weight, bias = case.arrays
    found = correlate(x, weight, bias, **case.sliding)
    grad = np.random.default_rng(case.seed).normal(size=found.shape)
    expected, by_all = gradients(lambda *arrays: pytorchs(*arrays, **case.sliding), (x, weight, bias), grad)
    close(found, expected)
    for ours, theirs in zip(backward(grad, x, weight, **case.sliding), by_all, strict=True):
        close(ours, theirs)


@either
@SOME
@given(data=st.data())
def test_convolution_is_correlation_with_the_kernel_turned_round(axes: int, data: st.DataObject) -> None:
    _, _, convolve, backward, pytorchs, turned = OPERATIONS[axes]
    case: Case = data.draw(cases(axes))
    x, weight, bias = case.arrays
    found = convolve(x, weight, bias, **case.sliding)
    grad = np.random.default_rng(case.seed).normal(size=found.shape)
    expected, by_all = gradients(
        lambda x, weight, bias: pytorchs(x, weight.flip(turned), bias, **case.sliding), (x, weight, bias), grad
    )
    close(found, expected)
    for ours, theirs in zip(backward(grad, x, weight, **case.sliding), by_all, strict=True):
        close(ours, theirs)


@SOME
@given(size=st.integers(5, 12), kernel=st.sampled_from([1, 3, 5]), seed=SEEDS)
def test_of_single_lines_and_maps_numpy_and_scipy_say_the_same(size: int, kernel: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    line, taps = rng.normal(size=size), rng.normal(size=kernel)
    image, window = rng.normal(size=(size, size + 2)), rng.normal(size=(kernel, 3))
    for padding in ("valid", "same", "full"):
        close(correlate1d(line, taps, padding=padding), np.correlate(line, taps, padding))
        close(convolve1d(line, taps, padding=padding), np.convolve(line, taps, padding))
        close(correlate2d(image, window, padding=padding), signal.correlate2d(image, window, padding))
        close(convolve2d(image, window, padding=padding), signal.convolve2d(image, window, padding))


def test_without_a_bias_nothing_is_added() -> None:
    x, weight = np.ones((1, 2, 3, 3)), np.ones((4, 2, 3, 3))
    assert correlate2d(x, weight).tolist() == np.full((1, 4, 1, 1), 18.0).tolist()
    assert correlate2d(x[0, 0], weight[0, 0], 0.5).tolist() == [[9.5]]


def test_gradients_of_a_single_map_have_no_images_and_channels() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(5, 6)), rng.normal(size=(3, 2))
    grad = rng.normal(size=(3, 5))
    single = correlate2d_backward(grad, x, weight)
    batch = correlate2d_backward(grad[None, None], x[None, None], weight[None, None])
    for one, many in zip(single, batch, strict=True):
        close(one, many.reshape(one.shape))
    assert [one.shape for one in single] == [(5, 6), (3, 2), ()]


def test_same_padding_of_an_even_kernel_has_its_extra_line_after_the_last() -> None:
    assert correlate1d([1, 2, 3], [1, 10], padding="same").tolist() == [21, 32, 3]


@pytest.mark.parametrize(
    ("x", "weight", "settings", "message"),
    [
        ((3, 8, 8), (4, 3, 3, 3), {}, r"x has the shape \(images, channels, height, width\), not \(3, 8, 8\)"),
        ((1, 3, 8, 8), (4, 2, 3, 3), {}, r"3 channels in 1 group need a weight \(maps, 3, height, width\)"),
        ((1, 4, 8, 8), (4, 4, 3, 3), {"groups": 2}, r"4 channels in 2 groups need a weight \(maps, 2, "),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"groups": 2}, "3 channels and 4 maps cannot be cut into 2 equal groups"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"groups": 0}, "cannot be cut into 0 equal groups"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"bias": np.zeros(3)}, r"4 maps need a bias of the shape \(4,\), not \(3,\)"),
        ((1, 3, 8, 8), (4, 3, 9, 3), {}, "a window of 9x3 fits nowhere on 8x8 with padding 0"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"dilation": 4}, "a window of 9x9 fits nowhere on 8x8"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"stride": 0}, "stride is a whole number of at least 1, or 2 of them"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"stride": 1.5}, "stride is a whole number of at least 1, or 2 of them"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": -1}, "padding is a whole number of at least 0, or 2 of them"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": (1, 1, 1)}, "padding is a whole number of at least 0, or 2 of them"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": "some"}, "one of valid, same, full, not 'some'"),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": "same", "stride": 2}, "padding 'same' needs stride 1, not 2x2"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(
    x: tuple[int, ...], weight: tuple[int, ...], settings: dict[str, Any], message: str
) -> None:
    for operation in (correlate2d, convolve2d):
        with pytest.raises(NeocogError, match=message):
            operation(np.zeros(x), np.zeros(weight), **settings)


def test_a_gradient_of_another_shape_than_the_output_is_refused() -> None:
    with pytest.raises(NeocogError, match=r"output's shape \(1, 4, 6, 6\), not \(1, 4, 8, 8\)"):
        correlate2d_backward(np.zeros((1, 4, 8, 8)), np.zeros((1, 3, 8, 8)), np.zeros((4, 3, 3, 3)))
