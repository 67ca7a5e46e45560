"""Blocks of every shape for the tests, and what PyTorch's own operators give for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from neocog.kernels.block import fused_conv
from neocog.kernels.level import Level, available


def needs(level: Level) -> pytest.ParameterSet:
    """A level as a parameter of a test that is left out where it cannot run."""
    lacking = level not in available()
    return pytest.param(level, marks=pytest.mark.skipif(lacking, reason=f"{level} cannot run here"))


FLOAT32_LEVELS = [needs("avx512"), needs("avx2")]


class Case(NamedTuple):
    images: int
    in_channels: int
    out_channels: int
    height: int
    width: int
    kernel: int
    padding: int
    pool: bool
    pool_padding: int
    relu: bool
    bias: bool

    @property
    def rows_and_columns(self) -> tuple[int, int]:
        """What comes out, by the formula of convolution arithmetic."""
        sizes = [side + 2 * self.padding - self.kernel + 1 for side in (self.height, self.width)]
        if self.pool:
            sizes = [(size + 2 * self.pool_padding - 2) // 2 + 1 if size > 0 else 0 for size in sizes]
        return sizes[0], sizes[1]

    @property
    def output(self) -> tuple[int, int, int, int]:
        return self.images, self.out_channels, *self.rows_and_columns


class Inputs(NamedTuple):
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    dy: Tensor


class Results(NamedTuple):
    y: Tensor
    dx: Tensor
    dw: Tensor
    db: Tensor | None


_CHANNELS = st.integers(1, 40) | st.sampled_from([1, 3, 8, 16, 17, 32, 33, 48, 64, 65, 96])


@st.composite
def cases(draw: st.DrawFn, images: st.SearchStrategy[int] | None = None) -> Case:
    kernel = draw(st.sampled_from([3, 5]))
    sides = st.integers(1, 20)
    case = Case(
        images=draw(st.integers(0, 5) if images is None else images),
        in_channels=draw(_CHANNELS),
        out_channels=draw(_CHANNELS),
        height=draw(sides),
        width=draw(sides),
        kernel=kernel,
        padding=draw(st.integers(0, kernel - 1)),
        pool=draw(st.booleans()),
        pool_padding=draw(st.integers(0, 1)),
        relu=draw(st.booleans()),
        bias=draw(st.booleans()),
    )
    if min(case.rows_and_columns) < 1:
        # the smallest padding that lets anything out
        case = case._replace(height=case.height + kernel, width=case.width + kernel)
    return case


def whole_numbers(case: Case, seed: int) -> Inputs:
    """Inputs so small and whole that float32 arithmetic is exact in any order; many of them are equal."""
    generator = torch.Generator().manual_seed(seed)
    return _inputs(case, lambda shape: torch.randint(-3, 4, shape, generator=generator).float())


def normal_numbers(case: Case, seed: int) -> Inputs:
    """Normally distributed inputs; `dy` is 0 where rounding could change which value the pooling or relu takes."""
    generator = torch.Generator().manual_seed(seed)
    inputs = _inputs(case, lambda shape: torch.randn(shape, generator=generator))
    return inputs._replace(dy=inputs.dy * _clear(case, inputs))


def _inputs(case: Case, draw: Callable[[tuple[int, ...]], Tensor]) -> Inputs:
    return Inputs(
        draw((case.images, case.in_channels, case.height, case.width)),
        draw((case.out_channels, case.in_channels, case.kernel, case.kernel)),
        draw((case.out_channels,)) if case.bias else None,
        draw(case.output),
    )


def _clear(case: Case, inputs: Inputs) -> Tensor:
    """Where the largest value is far from the second largest, and from relu's 0."""
    least = 1e-3
    bias = None if inputs.bias is None else inputs.bias.double()
    values = F.conv2d(inputs.x.double(), inputs.weight.double(), bias, padding=case.padding).unsqueeze(-1)
    if case.pool:
        padded = F.pad(values.squeeze(-1), (case.pool_padding,) * 4, value=-torch.inf)
        values = padded.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    ordered = values.sort(-1, descending=True).values
    clear = torch.ones(case.output, dtype=torch.bool)
    if case.pool:
        clear &= ordered[..., 0] - ordered[..., 1] > least
    if case.relu:
        clear &= ordered[..., 0].abs() > least
    return clear


def ours(case: Case, inputs: Inputs, level: Level, threads: int = 1) -> Results:
    """The block's output and gradients."""
    x, weight, bias, dy = _leaves(inputs, torch.float32)
    y = blocks_output(case, x, weight, bias, level, threads)
    y.backward(dy.to(y.dtype))
    return Results(y.detach(), x.grad, weight.grad, None if bias is None else bias.grad)


def blocks_output(case: Case, x: Tensor, weight: Tensor, bias: Tensor | None, level: Level, threads: int = 1) -> Tensor:
    return fused_conv(
        x,
        weight,
        bias,
        padding=case.padding,
        pool=case.pool,
        pool_padding=case.pool_padding,
        relu=case.relu,
        level=level,
        threads=threads,
    )


def pytorchs(case: Case, inputs: Inputs, dtype: torch.dtype) -> Results:
    """The output and gradients of PyTorch's operators one after the other."""
    x, weight, bias, dy = _leaves(inputs, dtype)
    y = pytorchs_output(case, x, weight, bias)
    y.backward(dy)
    return Results(y.detach(), x.grad, weight.grad, None if bias is None else bias.grad)


def pytorchs_output(case: Case, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = F.conv2d(x, weight, bias, padding=case.padding)
    if case.relu:
        y = F.relu(y)
    return F.max_pool2d(y, 2, padding=case.pool_padding) if case.pool else y


def _leaves(inputs: Inputs, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    x, weight, bias = (
        None if tensor is None else tensor.detach().to(dtype).requires_grad_()
        for tensor in (inputs.x, inputs.weight, inputs.bias)
    )
    assert x is not None
    assert weight is not None
    return x, weight, bias, inputs.dy.to(dtype)
