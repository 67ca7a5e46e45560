import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neocog.recipe import TrainSettings
from neocog.training.muon import Muon, orthogonalized
from neocog.training.optimizers import build_optimizer, set_learning_rate

SIZES = st.integers(1, 24)


def moved(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 4) -> list[Tensor]:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def begin(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(7)))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.integers(0, 1000))
def test_orthogonalized_keeps_the_singular_vectors_and_brings_the_values_near_one(
    rows: int, columns: int, seed: int
) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalized(matrix, iterations=12) @ vt.T
    torch.testing.assert_close(inner, torch.diag(inner.diagonal()), atol=1e-8, rtol=0)
    large = inner.diagonal()[s > 1e-3 * s[0]]
    assert (large > 0.6).all() and (large < 1.3).all()


def test_a_matrix_of_zeros_stays_one() -> None:
    assert not orthogonalized(torch.zeros(3, 4)).any()


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (32, 1, 5, 5), (4, 16, 3, 3)])
def test_kernels_move_as_by_the_muon_of_pytorch(shape: tuple[int, ...]) -> None:
    ours, theirs = begin(*shape), nn.Parameter(begin(*shape).detach().flatten(1))
    by_ours = moved(Muon([ours], lr=1e-3, muon_lr=0.02, weight_decay=0.1), [ours])
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.9, ns_steps=3)
    by_theirs = moved(reference, [theirs])
    # PyTorch's iterates in bfloat16, which is what is left between them.
    torch.testing.assert_close(by_ours[0].flatten(1), by_theirs[0], atol=3e-3, rtol=0)


def test_everything_else_moves_as_by_adamw() -> None:
    ours, theirs = [begin(5, 4), begin(5)], [begin(5, 4), begin(5)]
    chosen = {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}
    for one, other in zip(
        moved(Muon(ours, muon_lr=0.1, **chosen), ours),  # type: ignore[arg-type]
        moved(torch.optim.AdamW(theirs, **chosen), theirs),  # type: ignore[arg-type]
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_a_schedule_moves_both_rates_in_proportion() -> None:
    optimizer = build_optimizer([begin(4, 1, 3, 3), begin(4)], TrainSettings(optimizer="muon", lr=0.02, muon_lr=0.2))
    set_learning_rate(optimizer, 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.01])


def test_it_works_where_there_is_no_convolution_or_nothing_else() -> None:
    for shape in ((4, 3), (4, 1, 3, 3)):
        parameter = begin(*shape)
        assert not torch.equal(moved(Muon([parameter], lr=0.1, muon_lr=0.1), [parameter])[0], begin(*shape))


def test_a_parameter_without_a_gradient_stays() -> None:
    moving, resting = begin(4, 1, 3, 3), begin(2, 1, 3, 3)
    optimizer = Muon([moving, resting], lr=0.1, muon_lr=0.1, weight_decay=0.5)
    moving.grad = torch.ones_like(moving)
    optimizer.step()
    assert torch.equal(resting, begin(2, 1, 3, 3)) and not torch.equal(moving, begin(4, 1, 3, 3))
