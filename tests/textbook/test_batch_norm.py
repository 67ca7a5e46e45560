from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from neocog.errors import NeocogError
from neocog.textbook import (
    batch_norm,
    batch_norm_backward,
    batch_norm_evaluation,
    batch_norm_evaluation_backward,
    running_statistics,
)

from .cases import SEEDS, SOME, Array, close, gradients

shapes = st.sampled_from([(4, 3), (2, 3, 5), (3, 2, 4, 3), (1, 2, 2, 2)])


def drawn(shape: tuple[int, ...], seed: int) -> tuple[Array, Array, Array, Array]:
    """x, weight, bias and the gradient by the output."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    return 2 * rng.normal(size=shape) + 1, rng.normal(size=channels), rng.normal(size=channels), rng.normal(size=shape)


@SOME
@given(shape=shapes, seed=SEEDS)
def test_in_training_values_gradients_and_kept_statistics_are_pytorchs(shape: tuple[int, ...], seed: int) -> None:
    x, weight, bias, grad = drawn(shape, seed)
    kept_mean, kept_variance = np.full(shape[1], 0.3), np.full(shape[1], 2.0)
    mean, variance = torch.tensor(kept_mean), torch.tensor(kept_variance)

    def pytorchs(*arrays: Tensor) -> Tensor:
        return F.batch_norm(arrays[0], mean, variance, arrays[1], arrays[2], training=True, momentum=0.2)

    expected, by_all = gradients(pytorchs, (x, weight, bias), grad)
    close(batch_norm(x, weight, bias), expected)
    for ours, theirs in zip(batch_norm_backward(grad, x, weight), by_all, strict=True):
        close(ours, theirs)
    ours_mean, ours_variance = running_statistics(x, kept_mean, kept_variance, momentum=0.2)
    close(ours_mean, mean.numpy())
    close(ours_variance, variance.numpy())


@SOME
@given(shape=shapes, seed=SEEDS)
def test_in_evaluation_values_and_gradients_are_pytorchs(shape: tuple[int, ...], seed: int) -> None:
    x, weight, bias, grad = drawn(shape, seed)
    mean, variance = np.full(shape[1], 0.3), np.full(shape[1], 2.0)

    def pytorchs(*arrays: Tensor) -> Tensor:
        kept: Any = (torch.tensor(mean), torch.tensor(variance))
        return F.batch_norm(arrays[0], *kept, arrays[1], arrays[2], training=False, eps=1e-3)

    expected, by_all = gradients(pytorchs, (x, weight, bias), grad)
    close(batch_norm_evaluation(x, weight, bias, mean, variance, epsilon=1e-3), expected)
    found = batch_norm_evaluation_backward(grad, x, weight, mean, variance, epsilon=1e-3)
    for ours, theirs in zip(found, by_all, strict=True):
        close(ours, theirs)


def test_each_channel_comes_out_with_mean_0_and_deviation_1() -> None:
    x, _, _, _ = drawn((5, 3, 4, 4), 0)
    y = batch_norm(x, np.ones(3), np.zeros(3), epsilon=0)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-14)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-14)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(NeocogError, match=r"weight \(channels,\); got \(2, 3, 4\) and \(4,\)"):
        batch_norm(np.zeros((2, 3, 4)), np.zeros(4), np.zeros(3))
    with pytest.raises(NeocogError, match=r"not \(3,\)"):
        batch_norm(np.zeros(3), np.zeros(3), np.zeros(3))
    with pytest.raises(NeocogError, match="at least two values a channel"):
        running_statistics(np.zeros((1, 3)), np.zeros(3), np.ones(3))
