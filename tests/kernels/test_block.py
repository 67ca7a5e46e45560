"""The fused blocks against PyTorch's operators."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import (
    FLOAT32_LEVELS,
    Case,
    Inputs,
    cases,
    normal_numbers,
    ours,
    pytorchs,
    pytorchs_output,
    whole_numbers,
)
from torch import Tensor, nn

from neocog.kernels.block import fused_conv, padding_of, supported
from neocog.kernels.level import Level

SEEDS = st.integers(0, 2**32 - 1)
MANY = settings(max_examples=150, deadline=None)
SOME = settings(max_examples=50, deadline=None)

# Two threads get parts of this one to do, in forward and backward.
TYPICAL = Case(6, 5, 20, 14, 13, 3, 1, pool=True, pool_padding=0, relu=True, bias=True)

every_level = pytest.mark.parametrize("level", FLOAT32_LEVELS)


@every_level
@MANY
@given(case=cases(), seed=SEEDS, threads=st.integers(1, 3))
def test_whole_numbers_give_exactly_the_results_of_pytorch_also_where_values_are_equal(
    level: Level, case: Case, seed: int, threads: int
) -> None:
    inputs = whole_numbers(case, seed)
    found, expected = ours(case, inputs, level, threads), pytorchs(case, inputs, torch.float64)
    for name in expected._fields:
        a, b = getattr(found, name), getattr(expected, name)
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a.double(), b), name


@every_level
@MANY
@given(case=cases(), seed=SEEDS, threads=st.integers(1, 3))
def test_any_numbers_give_the_results_of_float64_within_float32_rounding(
    level: Level, case: Case, seed: int, threads: int
) -> None:
    inputs = normal_numbers(case, seed)
    found, expected = ours(case, inputs, level, threads), pytorchs(case, inputs, torch.float64)
    for name in expected._fields:
        a, b = getattr(found, name), getattr(expected, name)
        if b is not None and b.numel():
            assert (a.double() - b).abs().max() <= 1e-5 * max(1.0, float(b.abs().max())), name


@every_level
@SOME
@given(case=cases(images=st.integers(1, 3)), seed=SEEDS, data=st.data())
def test_nan_and_infinity_in_the_images_come_out_where_pytorch_has_them(
    level: Level, case: Case, seed: int, data: st.DataObject
) -> None:
    inputs = normal_numbers(case, seed)
    _spoil(inputs.x, data)
    expected = pytorchs(case, inputs, torch.float32).y
    found = ours(case, inputs, level).y
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.isposinf(), expected.isposinf())
    assert torch.equal(found.isneginf(), expected.isneginf())
    usual = expected.isfinite()
    torch.testing.assert_close(found[usual], expected[usual], rtol=1e-4, atol=1e-3)


@every_level
@SOME
@given(case=cases(images=st.integers(1, 3)), seed=SEEDS, data=st.data())
def test_nan_and_infinity_in_the_gradient_reach_what_they_reach_in_pytorch(
    level: Level, case: Case, seed: int, data: st.DataObject
) -> None:
    inputs = normal_numbers(case, seed)
    _spoil(inputs.dy, data)
    found, expected = ours(case, inputs, level), pytorchs(case, inputs, torch.float32)
    assert torch.equal(found.dx.isfinite(), expected.dx.isfinite())
    # Where a kernel reaches into the padding, NaN times the zeros there is one more NaN, or is left out: both are met
    # among PyTorch's own implementations.
    assert not (found.dw.isfinite() & ~expected.dw.isfinite()).any()
    if found.db is not None and expected.db is not None:
        assert torch.equal(found.db.isfinite(), expected.db.isfinite())


def _spoil(tensor: Tensor, data: st.DataObject) -> None:
    flat = tensor.view(-1)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, flat.numel() - 1))
        flat[place] = data.draw(st.sampled_from([torch.nan, torch.inf, -torch.inf]))


@every_level
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_number_of_threads_gives_the_same_bits_each_time(level: Level, threads: int) -> None:
    inputs = normal_numbers(TYPICAL, 0)
    first = ours(TYPICAL, inputs, level, threads)
    for _ in range(20):
        assert all(map(torch.equal, ours(TYPICAL, inputs, level, threads), first))


@every_level
def test_several_python_threads_at_once_get_what_one_gets(level: Level) -> None:
    given = [(TYPICAL._replace(out_channels=8 + 9 * place), place) for place in range(4)]
    inputs = [normal_numbers(case, seed) for case, seed in given]

    def work(place: int) -> tuple[Tensor | None, ...]:
        return ours(given[place][0], inputs[place], level, threads=2)

    alone = [work(place) for place in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for place, together in enumerate(pool.map(work, [0, 1, 2, 3] * 25)):
            assert all(map(torch.equal, together, alone[place % 4]))


def _layouts(tensor: Tensor) -> dict[str, Tensor]:
    """The same values with other strides and at other places in memory."""
    a, b, c, d = tensor.shape
    room = torch.empty(tensor.numel() + 3)
    apart = torch.full((a, b + 1, c + 2, d * 2), torch.nan)
    return {
        "contiguous": tensor.contiguous(),
        "channels_last": tensor.to(memory_format=torch.channels_last),
        "misaligned": room[1:-2].view(a, b, c, d).copy_(tensor),
        "misaligned channels_last": room.clone()[3:].view(a, c, d, b).permute(0, 3, 1, 2).copy_(tensor),
        "a part of another": apart[:, 1:, 1:-1, ::2].copy_(tensor),
        "transposed": tensor.transpose(2, 3).contiguous().transpose(2, 3),
    }


@every_level
@pytest.mark.parametrize("channels", [1, 3, 16])
def test_any_strides_and_alignment_give_the_same_bits(level: Level, channels: int) -> None:
    case = TYPICAL._replace(in_channels=channels)
    inputs = normal_numbers(case, 1)
    expected = ours(case, inputs, level)
    for images in _layouts(inputs.x).values():
        for weight in _layouts(inputs.weight).values():
            found = ours(case, inputs._replace(x=images, weight=weight), level)
            assert all(map(torch.equal, found, expected))
    for gradient in _layouts(inputs.dy).values():
        assert all(map(torch.equal, ours(case, inputs._replace(dy=gradient), level), expected))


@every_level
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("channels", [1, 4])
def test_the_weights_gradient_lies_in_memory_as_the_weights_do(level: Level, layout: str, channels: int) -> None:
    case = TYPICAL._replace(in_channels=channels)
    inputs = whole_numbers(case, 0)
    weight = _layouts(inputs.weight)[layout]
    assert ours(case, inputs._replace(weight=weight), level).dw.stride() == weight.stride()


@every_level
@pytest.mark.parametrize(("side", "channels"), [(14, 20), (14, 1), (2, 20), (2, 1)])
def test_the_output_is_channels_last_by_its_strides(level: Level, side: int, channels: int) -> None:
    case = TYPICAL._replace(height=side, width=side, out_channels=channels)
    y = ours(case, whole_numbers(case, 0), level).y
    assert y.stride() == (y.shape[2] * y.shape[3] * channels, 1, y.shape[3] * channels, channels)


def _block(x: Tensor, weight: Tensor, bias: Tensor | None = None, **changes: Any) -> Tensor:
    return fused_conv(x, weight, bias, **({"padding": 1, "pool": True, "relu": True, "threads": 1} | changes))


@every_level
def test_the_output_may_be_changed_in_place(level: Level) -> None:
    inputs = whole_numbers(TYPICAL, 0)
    expected = ours(TYPICAL, inputs, level)
    weight = inputs.weight.requires_grad_()
    y = _block(inputs.x, weight, inputs.bias, relu=False, level=level).relu_()
    y.backward(inputs.dy)
    assert torch.equal(y, expected.y)
    assert weight.grad is not None
    assert torch.equal(weight.grad, expected.dw)


@every_level
def test_images_changed_in_place_before_the_gradient_are_noticed(level: Level) -> None:
    x, weight = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last), torch.randn(4, 3, 3, 3)
    y = _block(x, weight.requires_grad_(), level=level)
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@every_level
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_only_the_gradients_that_are_wanted_are_given(level: Level, wanted: tuple[int, ...]) -> None:
    inputs = whole_numbers(TYPICAL, 0)
    expected = ours(TYPICAL, inputs, level)
    tensors = [inputs.x.clone(), inputs.weight.clone(), inputs.bias.clone()]
    for place in wanted:
        tensors[place].requires_grad_()
    _block(*tensors, level=level).backward(inputs.dy)
    for place, (tensor, gradient) in enumerate(zip(tensors, expected[1:], strict=True)):
        assert (tensor.grad is not None) == (place in wanted)
        assert tensor.grad is None or torch.equal(tensor.grad, gradient)


@every_level
def test_without_gradients_the_output_is_the_same(level: Level) -> None:
    inputs = normal_numbers(TYPICAL, 0)
    expected = ours(TYPICAL, inputs, level).y
    weight = inputs.weight.requires_grad_()
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            y = _block(inputs.x, weight, inputs.bias, level=level)
        assert torch.equal(y, expected)
        assert not y.requires_grad


@every_level
@pytest.mark.parametrize("case", [TYPICAL, TYPICAL._replace(pool=False), TYPICAL._replace(relu=False, bias=False)])
def test_a_second_derivative_is_that_of_pytorch(level: Level, case: Case) -> None:
    def penalty(dtype: torch.dtype) -> list[Tensor]:
        inputs = Inputs(*(given if given is None else given.detach().to(dtype) for given in normal_numbers(case, 0)))
        leaves = [tensor.requires_grad_() for tensor in inputs if tensor is not None]
        if dtype == torch.float32:
            y = _block(*inputs[:3], pool=case.pool, relu=case.relu, level=level)
        else:
            y = pytorchs_output(case, *inputs[:3])
        first = torch.autograd.grad(y, leaves[:2], inputs.dy, create_graph=True)
        second = torch.autograd.grad(sum(part.square().sum() for part in first), leaves, allow_unused=True)
        return [torch.zeros(1, dtype=dtype) if part is None else part for part in (*first, *second)]

    for found, expected in zip(penalty(torch.float32), penalty(torch.float64), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-3)


@every_level
@pytest.mark.parametrize(
    ("x", "weight", "bias", "changes", "message"),
    [
        ((2, 3, 8), (4, 3, 3, 3), None, {}, "expected x"),
        ((2, 3, 8, 8), (4, 2, 3, 3), None, {}, "expected x"),
        ((2, 0, 8, 8), (4, 0, 3, 3), None, {}, "expected x"),
        ((2, 3, 8, 8), (4, 3, 7, 7), None, {}, "3x3 or 5x5"),
        ((2, 3, 8, 8), (4, 3, 3, 5), None, {}, "3x3 or 5x5"),
        ((2, 3, 8, 8), (0, 3, 3, 3), None, {}, "3x3 or 5x5"),
        ((2, 3, 8, 8), (4, 3, 3, 3), None, {"padding": 3}, "padding 0 to 2"),
        ((2, 3, 8, 8), (4, 3, 3, 3), None, {"padding": -1}, "padding 0 to 2"),
        ((2, 3, 8, 8), (4, 3, 3, 3), None, {"pool_padding": 2}, "pool_padding 0 or 1"),
        ((2, 3, 8, 8), (4, 3, 3, 3), (3,), {}, "bias"),
        ((2, 3, 8, 2), (4, 3, 3, 3), None, {"padding": 0}, "too small"),
        ((2, 3, 8, 1), (4, 3, 3, 3), None, {}, "too small"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_runs(
    level: Level,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    bias: tuple[int, ...] | None,
    changes: dict[str, int],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        _block(torch.zeros(x), torch.zeros(weight), bias and torch.zeros(bias), level=level, **changes)


@every_level
def test_other_number_formats_and_devices_are_refused(level: Level) -> None:
    x, weight = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 3, 3)
    for images, kernel in ((x.double(), weight), (x, weight.half()), (x.bfloat16(), weight)):
        with pytest.raises(ValueError, match="float32"):
            _block(images, kernel, level=level)
    with pytest.raises(ValueError, match="CPU"):
        _block(x.to("meta"), weight, level=level)


GOOD = {"in_channels": 3, "out_channels": 4, "kernel_size": 3}


@pytest.mark.parametrize(
    ("changes", "pool"),
    [
        ({"stride": 2}, None),
        ({"dilation": 2}, None),
        ({"groups": 3, "out_channels": 3}, None),
        ({"kernel_size": 7}, None),
        ({"kernel_size": (3, 5)}, None),
        ({"padding": 3}, None),
        ({"padding": (1, 0)}, None),
        ({"padding": 1, "padding_mode": "reflect"}, None),
        ({}, nn.MaxPool2d(3)),
        ({}, nn.MaxPool2d(2, stride=1)),
        ({}, nn.MaxPool2d((2, 3))),
        ({}, nn.MaxPool2d(2, dilation=2)),
        ({}, nn.MaxPool2d(2, ceil_mode=True)),
        ({}, nn.MaxPool2d(2, padding=(1, 0))),
        ({}, nn.MaxPool2d(2, return_indices=True)),
    ],
)
def test_a_convolution_that_no_block_can_do_is_named_with_the_reason(
    changes: dict[str, Any], pool: nn.MaxPool2d | None
) -> None:
    reason = supported(nn.Conv2d(**(GOOD | changes)), pool)
    assert reason is not None
    assert "must be" in reason or "must have" in reason


@every_level
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("padding", [0, 1, 2, "same", "valid"])
@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(2), nn.MaxPool2d((2, 2), (2, 2), (1, 1))])
def test_a_supported_convolution_gives_what_its_modules_give(
    level: Level, kernel: int, padding: int | str, pool: nn.MaxPool2d | None
) -> None:
    conv = nn.Conv2d(3, 4, kernel, padding=padding)
    assert supported(conv, pool) is None
    margin = padding_of(conv)
    assert margin is not None
    x = torch.randn(2, 3, 9, 9)
    expected = F.relu(conv(x))
    pool_padding = 0 if pool is None or pool.padding == 0 else 1
    y = _block(x, conv.weight, conv.bias, padding=margin, pool=pool is not None, pool_padding=pool_padding, level=level)
    torch.testing.assert_close(y, expected if pool is None else pool(expected), rtol=1e-5, atol=1e-5)
