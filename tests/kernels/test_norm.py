"""The fused batch norm against PyTorch's in float64, and against the module itself."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neocog.kernels.level import available
from neocog.kernels.library import Level, library
from neocog.kernels.norm import fused_norm

LEVELS = [level for level in available() if level in library().norm_forward]
pytestmark = pytest.mark.skipif(not LEVELS, reason="no level with batch norm runs here")


def example(n: int, c: int, h: int, w: int, seed: int) -> tuple[nn.BatchNorm2d, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(c)
    norm.weight.data.normal_(generator=generator)
    norm.bias.data.normal_(generator=generator)
    x = 3 * torch.randn(n, c, h, w, generator=generator) + 5 * torch.randn(c, 1, 1, generator=generator)
    return norm, x, torch.randn(n, c, h, w, generator=generator)


def error(found: Tensor | None, exact: Tensor | None, size: Tensor) -> float:
    """The largest error, as a fraction of the size of what is added up: sums may cancel, their rounding does not."""
    assert found is not None and exact is not None
    return float(((found.detach().double() - exact) / size.clamp_min(1e-3)).abs().max())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("threads", [1, 2])
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 9), st.integers(2, 9), st.booleans(), st.integers(0, 99))
def test_values_and_gradients_are_those_of_float64(
    level: Level, threads: int, n: int, c: int, h: int, w: int, relu: bool, seed: int
) -> None:
    norm, x, dy = example(n, c, h, w, seed)
    x.requires_grad_()
    y = fused_norm(x, norm, relu=relu, level=level, threads=threads)
    y.backward(dy)
    wide, gamma, beta = (t.detach().double().requires_grad_() for t in (x, norm.weight, norm.bias))
    exact = F.batch_norm(wide, None, None, gamma, beta, training=True)
    # Near 0 the rounding decides whether relu lets a value through, and with it the whole gradient.
    assume(not relu or float(exact.detach().abs().min()) > 1e-4)
    exact = F.relu(exact) if relu else exact
    exact.backward(dy.double())
    spread = float(wide.detach().std((0, 2, 3)).min())
    allowed = 1e-5 * max(1.0, 1.0 / spread)
    normed = F.batch_norm(wide.detach(), None, None, training=True)
    parts = (normed.abs().amax((0, 2, 3)) * gamma.detach().abs() + beta.detach().abs()).max()
    assert error(y, exact.detach(), parts) < allowed
    live = dy.double() * (exact.detach() > 0) if relu else dy.double()
    assert error(norm.weight.grad, gamma.grad, (live * normed).abs().sum((0, 2, 3))) < allowed
    assert error(norm.bias.grad, beta.grad, live.abs().sum((0, 2, 3))) < allowed
    if n * h * w > 3:
        terms = (gamma.detach().abs() / wide.detach().std((0, 2, 3))).max() * live.abs().max()
        assert error(x.grad, wide.grad, terms) < 10 * allowed


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("level", LEVELS)
def test_the_running_statistics_move_as_the_modules_own(level: Level, momentum: float | None) -> None:
    norm, x, _ = example(4, 7, 5, 6, 0)
    norm.momentum = momentum
    reference = copy.deepcopy(norm)
    for step in range(3):
        fused_norm(x + step, norm, relu=True, level=level, threads=2)
        reference(x + step)
    assert norm.num_batches_tracked == reference.num_batches_tracked == 3
    torch.testing.assert_close(norm.running_mean, reference.running_mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_var, reference.running_var, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_inputs_give_the_same_bits(level: Level) -> None:
    results = []
    for _ in range(4):
        norm, x, dy = example(9, 33, 12, 11, 1)
        x.requires_grad_()
        y = fused_norm(x, norm, relu=True, level=level, threads=2)
        y.backward(dy)
        results.append((y, x.grad, norm.weight.grad, norm.bias.grad, norm.running_var))
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("level", LEVELS)
def test_second_gradients_are_those_of_pytorch(level: Level) -> None:
    found = []
    for fused in (True, False):
        norm, x, _ = example(3, 4, 5, 5, 2)
        x.requires_grad_()
        y = fused_norm(x, norm, relu=True, level=level, threads=1) if fused else F.relu(norm(x))
        (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(dx.square().sum(), x)
        found.append(second)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_fills_its_channel_alone(bad: float) -> None:
    norm, x, _ = example(2, 5, 4, 4, 3)
    x[1, 2, 0, 0] = bad
    y = fused_norm(x, norm, relu=False, level=LEVELS[0], threads=2)
    assert y[:, 2].isnan().all() and y[:, [0, 1, 3, 4]].isfinite().all()


def test_it_says_why_it_cannot() -> None:
    norm, x, _ = example(2, 3, 4, 4, 0)
    with pytest.raises(ValueError, match="not training"):
        fused_norm(x, norm.eval(), relu=True, level=LEVELS[0], threads=1)
    with pytest.raises(ValueError, match="no weight"):
        fused_norm(x, nn.BatchNorm2d(3, affine=False), relu=True, level=LEVELS[0], threads=1)
    with pytest.raises(ValueError, match=r"expected images \(N, 3, H, W\)"):
        fused_norm(x[:, :2], norm.train(), relu=True, level=LEVELS[0], threads=1)
    with pytest.raises(ValueError, match="'amx' has none"):
        fused_norm(x, norm, relu=True, level="amx", threads=1)
