from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import NeocogError
from neocog.textbook import (
    average_pool1d,
    average_pool1d_backward,
    average_pool2d,
    average_pool2d_backward,
    max_pool1d,
    max_pool1d_backward,
    max_pool2d,
    max_pool2d_backward,
)

from .cases import MANY, SEEDS, close, gradients

MAX: dict[int, tuple[Any, ...]] = {
    1: (max_pool1d, max_pool1d_backward, F.max_pool1d),
    2: (max_pool2d, max_pool2d_backward, F.max_pool2d),
}
AVERAGE: dict[int, tuple[Any, ...]] = {
    1: (average_pool1d, average_pool1d_backward, F.avg_pool1d),
    2: (average_pool2d, average_pool2d_backward, F.avg_pool2d),
}
either = pytest.mark.parametrize("axes", [1, 2])


def each(data: st.DataObject, axes: int, least: int, most: int) -> tuple[int, ...]:
    return data.draw(st.tuples(*[st.integers(least, most)] * axes))


def settings_of(data: st.DataObject, axes: int) -> dict[str, Any]:
    kernel = each(data, axes, 1, 4)
    padding = tuple(data.draw(st.integers(0, taps // 2)) for taps in kernel)
    return {"kernel": kernel, "stride": data.draw(st.none() | st.just(each(data, axes, 1, 3))), "padding": padding}


def check(operations: tuple[Any, ...], x: Any, seed: int, settings: dict[str, Any]) -> None:
    pool, backward, pytorchs = operations
    found = pool(x, **settings)
    grad = np.random.default_rng(seed).normal(size=found.shape)
    theirs = {**settings, "kernel_size": settings["kernel"]}
    del theirs["kernel"]
    expected, [by_x] = gradients(lambda x: pytorchs(x, **theirs), [x], grad)
    close(found, expected)
    close(backward(grad, x, **settings), by_x)


@either
@MANY
@given(data=st.data(), equal=st.booleans(), seed=SEEDS)
def test_max_pooling_and_its_gradient_are_pytorchs_also_where_values_are_equal(
    axes: int, data: st.DataObject, equal: bool, seed: int
) -> None:
    settings = settings_of(data, axes)
    settings["dilation"] = each(data, axes, 1, 2)
    rng, shape = np.random.default_rng(seed), (2, 2, *each(data, axes, 7, 10))
    x = rng.integers(0, 3, shape).astype(float) if equal else rng.normal(size=shape)
    check(MAX[axes], x, seed, settings)


@either
@MANY
@given(data=st.data(), seed=SEEDS)
def test_average_pooling_and_its_gradient_are_pytorchs(axes: int, data: st.DataObject, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, 2, *each(data, axes, 4, 9)))
    check(AVERAGE[axes], x, seed, settings_of(data, axes))


def test_a_single_map_is_pooled_like_one_of_many() -> None:
    x = np.array([[1.0, 3, 2, 0], [4, 8, 1, 1], [0, 2, 5, 6], [2, 0, 7, 2]])
    assert max_pool2d(x, 2).tolist() == [[8, 2], [2, 7]]
    assert average_pool2d(x, 2).tolist() == [[4, 1], [1, 5]]
    assert max_pool2d_backward(np.ones((2, 2)), x, 2).sum() == 4
    assert max_pool1d([1, 5, 2, 2], 2).tolist() == [5, 2]


def test_padding_never_wins_a_maximum_and_counts_as_zeros_in_a_mean() -> None:
    assert max_pool1d([-4.0, -2.0], 3, stride=1, padding=1).tolist() == [-2, -2]
    assert average_pool1d([-3.0, -3.0], 3, stride=1, padding=1).tolist() == [-2, -2]


def test_more_padding_than_half_a_window_is_refused() -> None:
    for pool in (max_pool2d, average_pool2d):
        with pytest.raises(NeocogError, match="at most half its window, 3 / 2, not 2"):
            pool(np.zeros((1, 1, 8, 8)), 3, padding=2)


def test_what_has_too_few_axes_is_refused() -> None:
    with pytest.raises(NeocogError, match=r"at least 2 axes, \(…, height, width\); got the shape \(8,\)"):
        max_pool2d(np.zeros(8), 2)
