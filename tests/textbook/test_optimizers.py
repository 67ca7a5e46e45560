from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import NeocogError
from neocog.textbook import adam_step, sgd_step

from .cases import SEEDS, SOME, Array, close


def gradients_of(seed: int) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    for _ in range(6):
        yield rng.normal(size=(3, 2))


@SOME
@given(seed=SEEDS, momentum=st.sampled_from([0.0, 0.5, 0.9]))
def test_sgd_goes_the_way_of_pytorchs(seed: int, momentum: float) -> None:
    weight = np.random.default_rng(seed).normal(size=(3, 2))
    parameter = torch.nn.Parameter(torch.tensor(weight))
    theirs = torch.optim.SGD([parameter], lr=0.1, momentum=momentum)
    velocity = None
    for gradient in gradients_of(seed + 1):
        weight, velocity = sgd_step(weight, gradient, 0.1, momentum=momentum, velocity=velocity)
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        close(weight, parameter.detach().numpy())


@SOME
@given(seed=SEEDS, betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9)]), epsilon=st.sampled_from([1e-8, 1e-3]))
def test_adam_goes_the_way_of_pytorchs(seed: int, betas: tuple[float, float], epsilon: float) -> None:
    weight = np.random.default_rng(seed).normal(size=(3, 2))
    parameter = torch.nn.Parameter(torch.tensor(weight))
    theirs = torch.optim.Adam([parameter], lr=0.01, betas=betas, eps=epsilon)
    moments = None
    for gradient in gradients_of(seed + 1):
        weight, moments = adam_step(weight, gradient, moments, lr=0.01, betas=betas, epsilon=epsilon)
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        close(weight, parameter.detach().numpy())


def test_the_first_step_of_adam_is_as_long_as_the_learning_rate_whatever_the_gradient() -> None:
    weight, moments = adam_step([1.0, 1.0], [1e-3, -50.0], lr=0.1)
    np.testing.assert_allclose(weight, [0.9, 1.1], atol=1e-5)
    assert moments.steps == 1


def test_nothing_is_changed_in_place() -> None:
    weight, gradient = np.ones(2), np.ones(2)
    _, velocity = sgd_step(weight, gradient, 0.1, momentum=0.9)
    sgd_step(weight, gradient, 0.1, momentum=0.9, velocity=velocity)
    _, moments = adam_step(weight, gradient)
    adam_step(weight, gradient, moments)
    assert velocity.tolist() == weight.tolist() == gradient.tolist() == [1, 1]
    assert moments.steps == 1 and moments.mean.tolist() == pytest.approx([0.1, 0.1])


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(NeocogError, match=r"shape \(2,\), not \(3,\)"):
        sgd_step(np.zeros(2), np.zeros(3), 0.1)
    with pytest.raises(NeocogError, match=r"shape \(2,\), not \(3,\)"):
        adam_step(np.zeros(2), np.zeros(3))
