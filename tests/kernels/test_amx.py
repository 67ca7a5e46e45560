"""The bfloat16 blocks of amx.cpp, with the tiles computed in software: the same source that real tiles run."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import (
    Case,
    Inputs,
    Results,
    blocks_output,
    cases,
    normal_numbers,
    pytorchs,
    pytorchs_output,
    whole_numbers,
)
from tests.kernels.cases import ours as blocks
from torch import Tensor

from neocog.kernels import block
from neocog.kernels.block import fused_conv
from neocog.kernels.library import BAD_SHAPE, OK, ConvStruct, Library, ThreadsStruct

SOURCE = Path(block.__file__).parent / "source" / "amx.cpp"
COMPILER = shutil.which("g++") or shutil.which("clang++")
SEEDS = st.integers(0, 2**32 - 1)
SOME = settings(max_examples=60, deadline=None)

# Several images together, several parts for each thread, tiles that are not full.
SMALL_IMAGES = Case(19, 33, 40, 4, 4, 3, 1, pool=False, pool_padding=0, relu=True, bias=True)
# The layers of common networks: few channels, then many.
FIRST_LAYER = Case(3, 1, 32, 28, 28, 3, 1, pool=True, pool_padding=0, relu=True, bias=True)
SECOND_LAYER = Case(3, 32, 64, 14, 14, 3, 1, pool=True, pool_padding=0, relu=True, bias=True)
LENET = Case(3, 6, 16, 14, 14, 5, 0, pool=True, pool_padding=0, relu=True, bias=True)
MANY_CHANNELS = Case(5, 130, 260, 3, 5, 3, 1, pool=False, pool_padding=0, relu=False, bias=False)
KNOWN = pytest.mark.parametrize("case", [SMALL_IMAGES, FIRST_LAYER, SECOND_LAYER, LENET, MANY_CHANNELS])

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(
        not torch.backends.cpu.get_cpu_capability().startswith("AVX512"), reason="the software tiles need AVX-512"
    ),
]


@pytest.fixture(scope="module")
def software_tiles(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp("amx") / "emulated.so"
    features = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-DNEOCOG_EMULATE_AMX"]
    command = [str(COMPILER), "-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", *features, "-shared"]
    subprocess.run([*command, str(SOURCE), "-o", str(target)], check=True, timeout=300)
    loaded = ctypes.CDLL(str(target))
    loaded.neocog_forward_amx_emulated.argtypes = [ctypes.c_void_p] * 7
    loaded.neocog_backward_amx_emulated.argtypes = [ctypes.c_void_p] * 9
    return loaded


@pytest.fixture(scope="module", autouse=True)
def amx(software_tiles: ctypes.CDLL) -> Iterator[None]:
    """Let the level `amx` be the software tiles."""
    forward = software_tiles.neocog_forward_amx_emulated
    backward = software_tiles.neocog_backward_amx_emulated
    emulated = Library(None, {"amx": forward}, {"amx": backward}, frozenset({"amx"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "library", lambda: emulated)
        yield


def ours(case: Case, inputs: Inputs, threads: int = 1) -> Results:
    return blocks(case, inputs, "amx", threads)


def _block(case: Case, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return blocks_output(case, x, weight, bias, "amx")


def rounded(inputs: Inputs) -> Inputs:
    return Inputs(*(None if tensor is None else tensor.bfloat16().float() for tensor in inputs))


def error(result: Tensor, exact: Tensor) -> float:
    """How far off a result is on average, relative to the exact one."""
    scale = exact.norm().item()
    return (result.double() - exact).norm().item() / scale if scale else result.double().norm().item()


def _check_errors(case: Case, seed: int, threads: int) -> None:
    inputs = rounded(normal_numbers(case, seed))
    exact = pytorchs(case, inputs, torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        stock = pytorchs(case, inputs, torch.float32)
    for name, mine, theirs, truth in zip(Results._fields, ours(case, inputs, threads), stock, exact, strict=True):
        if truth is not None:
            assert error(mine, truth) <= 1.5 * error(theirs, truth) + 1e-6, name


def _check_exact(case: Case, seed: int, threads: int) -> None:
    inputs = whole_numbers(case, seed)
    exact = pytorchs(case, inputs, torch.float64)
    mine = ours(case, inputs, threads)
    assert torch.equal(mine.y, exact.y.bfloat16())
    assert torch.equal(mine.dx, exact.dx.bfloat16().float())
    assert torch.equal(mine.dw, exact.dw.float())
    assert (mine.db is None) == (exact.db is None)
    assert mine.db is None or torch.equal(mine.db, exact.db.float())


@SOME
@given(case=cases(), seed=SEEDS, threads=st.integers(1, 3))
def test_any_numbers_are_as_near_to_float64_as_with_pytorchs_autocast(case: Case, seed: int, threads: int) -> None:
    _check_errors(case, seed, threads)


@KNOWN
def test_the_layers_of_common_networks_are_as_near_to_float64_as_with_pytorchs_autocast(case: Case) -> None:
    _check_errors(case, 0, 2)


@SOME
@given(case=cases(), seed=SEEDS, threads=st.integers(1, 3))
def test_whole_numbers_give_exactly_the_results_of_pytorch_also_where_values_are_equal(
    case: Case, seed: int, threads: int
) -> None:
    _check_exact(case, seed, threads)


@KNOWN
def test_the_layers_of_common_networks_give_exactly_the_results_of_pytorch_for_whole_numbers(case: Case) -> None:
    _check_exact(case, 0, 2)


@SOME
@given(case=cases(images=st.integers(1, 3)), seed=SEEDS, data=st.data())
def test_nan_and_infinity_in_the_images_come_out_where_pytorch_has_them(
    case: Case, seed: int, data: st.DataObject
) -> None:
    inputs = rounded(normal_numbers(case, seed))
    _spoil(inputs.x, data)
    # in float32: what stands in for bfloat16 on processors without it makes NaN of infinity
    expected = pytorchs_output(case, inputs.x, inputs.weight, inputs.bias)
    found = _block(case, inputs.x, inputs.weight, inputs.bias)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.isposinf(), expected.isposinf())
    assert torch.equal(found.isneginf(), expected.isneginf())
    usual = expected.isfinite()
    torch.testing.assert_close(found[usual].float(), expected[usual], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("in_channels", [1, 20])
@pytest.mark.parametrize("pool_padding", [0, 1])
def test_nan_and_infinity_at_any_pixel_come_out_where_pytorch_has_them(
    value: float, in_channels: int, pool_padding: int
) -> None:
    side = 8
    case = Case(side**2, in_channels, 3, side, side, 3, 1, True, pool_padding, relu=False, bias=True)
    inputs = rounded(normal_numbers(case, 0))
    inputs.x[:, 0].view(side**2, side**2).fill_diagonal_(value)
    expected = pytorchs_output(case, inputs.x, inputs.weight, inputs.bias)
    found = _block(case, inputs.x, inputs.weight, inputs.bias)
    for kind in (torch.isnan, torch.isposinf, torch.isneginf):
        assert torch.equal(kind(found), kind(expected))


@SOME
@given(case=cases(images=st.integers(1, 3)), seed=SEEDS, data=st.data())
def test_nan_and_infinity_in_the_gradient_reach_what_they_reach_in_pytorch(
    case: Case, seed: int, data: st.DataObject
) -> None:
    inputs = rounded(normal_numbers(case, seed))
    _spoil(inputs.dy, data)
    found, expected = ours(case, inputs), pytorchs(case, inputs, torch.float32)
    assert torch.equal(found.dx.isfinite(), expected.dx.isfinite())
    # Where a kernel reaches into the padding, NaN times the zeros there is one more NaN, or is left out: both are met
    # among PyTorch's own implementations.
    assert not (found.dw.isfinite() & ~expected.dw.isfinite()).any()
    assert found.db is None or torch.equal(found.db.isfinite(), expected.db.isfinite())


def _spoil(tensor: Tensor, data: st.DataObject) -> None:
    flat = tensor.view(-1)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, flat.numel() - 1))
        flat[place] = data.draw(st.sampled_from([torch.nan, torch.inf, -torch.inf]))


def test_values_are_rounded_to_bfloat16_as_pytorch_does_it() -> None:
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31, (5000,), generator=generator).int()
    halfway = torch.arange(0x3F800000, 0x3F900000, 0x4000).int()
    edges = torch.tensor([0x7FFFFFFF, 0x7F800001, 0x7F800000, 0x7F7FFFFF, 0x7F7F7FFF, -1, -(2**31)]).int()
    bias = torch.cat([bits, halfway, edges]).view(torch.float32)
    # below the normal numbers AMX has only zero
    bias[bias.abs() < torch.finfo(torch.float32).tiny] = 0
    x, weight = torch.zeros(1, 1, 1, 1), torch.ones(len(bias), 1, 3, 3)
    y = fused_conv(x, weight, bias, padding=1, pool=False, relu=False, level="amx", threads=1).flatten()
    torch.testing.assert_close(y, bias.bfloat16(), rtol=0, atol=0, equal_nan=True)


def test_what_is_smaller_than_the_normal_numbers_counts_as_zero() -> None:
    x, weight = torch.full((1, 1, 1, 2), 2.0**-130), torch.full((1, 1, 3, 3), 2.0**100)
    x[..., 1] = 2.0**-126
    y = fused_conv(x, weight, None, padding=1, pool=False, relu=False, level="amx", threads=1)
    assert y.tolist() == [[[[2.0**-26, 2.0**-26]]]]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_number_of_threads_gives_the_same_bits_each_time(threads: int) -> None:
    inputs = normal_numbers(SMALL_IMAGES, 0)
    first = ours(SMALL_IMAGES, inputs, threads)
    for _ in range(10):
        assert all(map(torch.equal, ours(SMALL_IMAGES, inputs, threads), first))


def test_two_threads_give_the_bits_of_one_that_does_their_work_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = normal_numbers(SMALL_IMAGES, 0)
    together = ours(SMALL_IMAGES, inputs, threads=2)
    monkeypatch.setattr(block, "openmp", lambda: None)
    assert all(map(torch.equal, ours(SMALL_IMAGES, inputs, threads=2), together))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OK),
        ({"kernel": 4}, BAD_SHAPE),
        ({"padding": 3}, BAD_SHAPE),
        ({"height": 0}, BAD_SHAPE),
        ({"in_channels": 0}, BAD_SHAPE),
        ({"images": -1}, BAD_SHAPE),
        ({"relu": 1}, BAD_SHAPE),  # without the choices of the forward pass
    ],
)
def test_a_shape_that_is_not_supported_is_refused(
    software_tiles: ctypes.CDLL, changes: dict[str, int], status: int
) -> None:
    conv = ConvStruct(1, 4, 4, 1, 1, 3, 1, 0, 0, 0)
    for name, value in changes.items():
        setattr(conv, name, value)
    threads = ThreadsStruct(None, 1)
    x, dx = torch.zeros(16, dtype=torch.bfloat16), torch.zeros(16, dtype=torch.bfloat16)
    weight, dw = torch.zeros(9), torch.zeros(9)
    pointers = [x.data_ptr(), weight.data_ptr(), None, x.data_ptr(), dx.data_ptr(), dw.data_ptr(), None]
    backward = software_tiles.neocog_backward_amx_emulated
    assert backward(ctypes.byref(conv), ctypes.byref(threads), *pointers) == status
