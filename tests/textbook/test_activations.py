from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor

from neocog import textbook

from .cases import SEEDS, SOME, close, gradients

PYTORCHS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "scaled_tanh": lambda x: 1.7159 * torch.tanh(2 / 3 * x),
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: torch.softmax(x, -1),
}


@pytest.mark.parametrize("name", PYTORCHS)
@SOME
@given(seed=SEEDS)
def test_activations_and_their_gradients_are_pytorchs(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, grad = 3 * rng.normal(size=(3, 2, 5)), rng.normal(size=(3, 2, 5))
    # exactly 0 and what overflows a careless exp
    x[0, 0, :3] = 0.0, 800.0, -800.0
    expected, [by_x] = gradients(PYTORCHS[name], [x], grad)
    forward, backward = getattr(textbook, name), getattr(textbook, f"{name}_backward")
    close(forward(x), expected)
    close(backward(grad, x), by_x)


def test_the_sigmoid_keeps_its_digits_far_from_zero() -> None:
    # There sigmoid(x) and its derivative are both exp(-|x|), to many more digits than float64 has.
    expected = np.exp([-40.0, -700.0])
    np.testing.assert_allclose(textbook.sigmoid([-40.0, -700.0]), expected, rtol=1e-14)
    for sign in (-1, 1):
        np.testing.assert_allclose(
            textbook.sigmoid_backward([1.0, 1.0], [sign * 40.0, sign * 700.0]), expected, rtol=1e-14
        )


def test_the_scaled_tanh_keeps_one_and_minus_one() -> None:
    np.testing.assert_allclose(textbook.scaled_tanh([1.0, -1.0, 0.0]), [1.0, -1.0, 0.0], atol=1e-4)


@pytest.mark.parametrize("name", PYTORCHS)
def test_whole_numbers_are_taken_as_float64(name: str) -> None:
    found: Any = getattr(textbook, name)([[0, 1, 2]])
    assert found.dtype == np.float64 and found.shape == (1, 3)
