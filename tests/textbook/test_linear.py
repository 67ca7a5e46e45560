from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import NeocogError
from neocog.textbook import flatten, flatten_backward, linear, linear_backward

from .cases import SEEDS, SOME, close, gradients


@SOME
@given(images=st.integers(1, 4), inputs=st.integers(1, 6), outputs=st.integers(1, 5), seed=SEEDS)
def test_the_linear_layer_and_its_gradients_are_pytorchs(images: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weight, bias = (rng.normal(size=size) for size in ((images, inputs), (outputs, inputs), (outputs,)))
    grad = rng.normal(size=(images, outputs))
    expected, by_all = gradients(F.linear, (x, weight, bias), grad)
    close(linear(x, weight, bias), expected)
    close(linear(x, weight), expected - bias)
    for ours, theirs in zip(linear_backward(grad, x, weight), by_all, strict=True):
        close(ours, theirs)


def test_flattening_goes_channel_by_channel_and_line_by_line_and_back() -> None:
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    assert flatten(x)[0].tolist() == list(range(12))
    assert np.array_equal(flatten_backward(flatten(x), x), x)
    assert flatten(np.zeros((0, 3, 2, 2))).shape == (0, 12)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(NeocogError, match=r"with equal inputs; got \(2, 3\) and \(5, 4\)"):
        linear(np.zeros((2, 3)), np.zeros((5, 4)))
    with pytest.raises(NeocogError, match=r"need a bias of the shape \(5,\), not \(1,\)"):
        linear(np.zeros((2, 3)), np.zeros((5, 3)), np.zeros(1))
    with pytest.raises(NeocogError, match=r"output's shape \(2, 5\), not \(2, 3\)"):
        linear_backward(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((5, 3)))
