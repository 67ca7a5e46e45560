from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from neocog.errors import NeocogError
from neocog.textbook import dropout, dropout_backward, dropout_mask


def test_what_pytorch_keeps_has_the_values_and_gradients_of_pytorch() -> None:
    x = torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with torch.random.fork_rng(devices=[]):
        expected = torch.nn.functional.dropout(x, 0.3)
    grad = np.random.default_rng(0).normal(size=(50, 7))
    [by_x] = torch.autograd.grad(expected, x, torch.tensor(grad))
    mask = expected.detach().numpy() != 0
    assert 0 < mask.mean() < 1
    np.testing.assert_allclose(dropout(x.detach().numpy(), 0.3, mask), expected.detach().numpy(), rtol=1e-15)
    np.testing.assert_allclose(dropout_backward(grad, 0.3, mask), by_x.numpy(), rtol=1e-15)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 0.9])
def test_a_mask_drops_values_with_the_given_probability(probability: float) -> None:
    mask = dropout_mask((100, 100), probability, np.random.default_rng(1))
    assert mask.shape == (100, 100) and mask.dtype == np.bool_
    assert stats.binomtest(int((~mask).sum()), mask.size, probability).pvalue > 1e-6


def test_equal_seeds_give_equal_masks() -> None:
    first, second = (dropout_mask((9,), 0.5, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_dropped_infinity_is_zero() -> None:
    assert dropout([np.inf, 1.0], 0.5, [False, True]).tolist() == [0.0, 2.0]


def test_other_probabilities_and_masks_are_refused() -> None:
    for probability in (-0.1, 1.0, float("nan")):
        with pytest.raises(NeocogError, match="from 0 to below 1"):
            dropout_mask((3,), probability, np.random.default_rng(0))
        with pytest.raises(NeocogError, match="from 0 to below 1"):
            dropout(np.zeros(3), probability, np.ones(3))
    with pytest.raises(NeocogError, match=r"shape of x, \(3,\), not \(4,\)"):
        dropout(np.zeros(3), 0.5, np.ones(4))
