"""The fused blocks against the textbook's definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import FLOAT32_LEVELS, Case, cases, ours, whole_numbers

from neocog import textbook
from neocog.kernels.level import Level


@pytest.mark.parametrize("level", FLOAT32_LEVELS)
@settings(max_examples=25, deadline=None)
@given(case=cases(images=st.integers(1, 2)), seed=st.integers(0, 2**32 - 1))
def test_a_block_computes_what_the_textbook_writes_out(level: Level, case: Case, seed: int) -> None:
    # whole numbers so small that float32 is exact, and many of them equal
    inputs = whole_numbers(case, seed)
    x, weight, dy = (tensor.numpy() for tensor in (inputs.x, inputs.weight, inputs.dy))
    maps = textbook.correlate2d(x, weight, inputs.bias, padding=case.padding)
    pooled = textbook.max_pool2d(maps, 2, padding=case.pool_padding) if case.pool else maps
    output = textbook.relu(pooled) if case.relu else pooled

    grad = textbook.relu_backward(dy, pooled) if case.relu else dy
    by_maps = textbook.max_pool2d_backward(grad, maps, 2, padding=case.pool_padding) if case.pool else grad
    by_x, by_weight, by_bias = textbook.correlate2d_backward(by_maps, x, weight, padding=case.padding)

    found = ours(case, inputs, level)
    assert np.array_equal(found.y.numpy(), output)
    assert found.dx is not None and np.array_equal(found.dx.numpy(), by_x)
    assert found.dw is not None and np.array_equal(found.dw.numpy(), by_weight)
    assert found.db is None or np.array_equal(found.db.numpy(), by_bias)
