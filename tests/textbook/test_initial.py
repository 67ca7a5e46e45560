from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neocog.errors import NeocogError
from neocog.textbook import glorot_uniform


@pytest.mark.parametrize(
    ("shape", "limit"),
    [
        ((10, 1, 3, 3), (6 / (1 * 9 + 10 * 9)) ** 0.5),
        ((100, 1960), (6 / 2060) ** 0.5),
        ((4, 2, 5), (6 / (2 * 5 + 4 * 5)) ** 0.5),
    ],
)
def test_weights_are_uniform_within_glorots_limit(shape: tuple[int, ...], limit: float) -> None:
    weights = glorot_uniform(shape, np.random.default_rng(0))
    assert weights.shape == shape and weights.dtype == np.float64
    assert np.abs(weights).max() <= limit
    assert stats.kstest(weights.ravel(), stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-4


def test_a_shape_without_inputs_is_refused() -> None:
    with pytest.raises(NeocogError, match=r"\(outputs, inputs, …\), not \(3,\)"):
        glorot_uniform((3,), np.random.default_rng(0))
