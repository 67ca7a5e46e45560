"""The original LeNet-5: its layers against their definitions in float64 NumPy, and the network as a whole."""

from __future__ import annotations

import copy
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neocog.models import build, load_into
from neocog.models.bitmaps import COLUMNS, ROWS, digit_bitmaps
from neocog.models.lenet import EuclideanRBF, Subsample, TableConv2d
from neocog.notation import Conv, Network, Table

Array = npt.NDArray[np.float64]

# Table I of the paper: a row for each map of S2, a cross for each map of C3 that sees it.
TABLE_I = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def numpy(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def table_convolution(x: Array, layer: Conv, table: Table, weight: Array, bias: Array | None) -> Array:
    """The definition: for each output map the sum over the input maps it sees, tap by tap."""
    (top, bottom), (left, right) = layer.pads()
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows, columns = (
        (size - (kernel - 1) * dilation - 1) // stride + 1
        for size, kernel, dilation, stride in zip(x.shape[2:], layer.kernel, layer.dilation, layer.stride, strict=True)
    )
    result = np.zeros((len(x), len(table), rows, columns))
    connection = 0
    for output, entry in enumerate(table):
        for seen in entry:
            for down in range(layer.kernel[0]):
                for right in range(layer.kernel[1]):
                    first_row, first_column = down * layer.dilation[0], right * layer.dilation[1]
                    taps = x[:, seen, first_row :: layer.stride[0], first_column :: layer.stride[1]]
                    result[:, output] += weight[connection, down, right] * taps[:, :rows, :columns]
            connection += 1
        if bias is not None:
            result[:, output] += bias[output]
    return result


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@st.composite
def table_convolutions(draw: st.DrawFn) -> Conv:
    channels = draw(st.integers(1, 4))
    entry = st.sets(st.integers(0, 2), min_size=1).map(lambda seen: tuple(sorted(seen)))
    stride = draw(pairs(1, 2))
    paddings = [pairs(0, 2), st.just("full")] + ([st.just("same")] if stride == (1, 1) else [])
    return Conv(
        channels,
        draw(pairs(1, 4)),
        stride,
        draw(st.one_of(paddings)),
        draw(pairs(1, 2)),
        bias=draw(st.booleans()),
        table=draw(st.lists(entry, min_size=channels, max_size=channels).map(tuple)),
    )


@settings(max_examples=60, deadline=None)
@given(table_convolutions(), st.integers(7, 9), st.integers(7, 10))
def test_a_convolution_with_a_table_is_its_definition(layer: Conv, height: int, width: int) -> None:
    assert layer.table is not None
    network = build(Network((layer,)), (3, height, width), seed=1)
    conv = network.get_submodule("conv1")
    assert isinstance(conv, TableConv2d)
    x = torch.randn(2, 3, height, width)
    bias = None if conv.bias is None else numpy(conv.bias)
    expected = table_convolution(numpy(x), layer, layer.table, numpy(conv.weight), bias)
    np.testing.assert_allclose(numpy(network(x)), expected, atol=1e-5)


def test_a_table_of_all_maps_is_a_plain_convolution() -> None:
    plain = nn.Conv2d(3, 4, 5, stride=2, padding=1)
    table = TableConv2d(3, ((0, 1, 2),) * 4, (5, 5), stride=(2, 2), margins=(1, 1, 1, 1))
    assert plain.bias is not None and table.bias is not None
    with torch.no_grad():
        table.weight.copy_(plain.weight.flatten(0, 1))
        table.bias.copy_(plain.bias)
    x = torch.randn(2, 3, 11, 12)
    assert torch.equal(table(x), plain(x))


def test_the_gradient_of_a_table_reaches_its_connections_alone() -> None:
    table = TableConv2d(3, ((0, 2), (1,)), (2, 2)).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: table(x), (x, *table.parameters()))
    table(x)[:, 1].sum().backward()
    assert x.grad is not None and table.weight.grad is not None
    assert [bool(x.grad[:, channel].any()) for channel in range(3)] == [False, True, False]
    assert [bool(kernel.any()) for kernel in table.weight.grad] == [False, False, True]


@settings(max_examples=40, deadline=None)
@given(pairs(1, 4), pairs(4, 9))
def test_subsampling_is_its_definition(kernel: tuple[int, int], size: tuple[int, int]) -> None:
    layer = Subsample(3, kernel)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, *size)
    rows, columns = size[0] // kernel[0], size[1] // kernel[1]
    windows = numpy(x)[:, :, : rows * kernel[0], : columns * kernel[1]]
    sums = windows.reshape(2, 3, rows, kernel[0], columns, kernel[1]).sum((3, 5))
    # As in the paper: the sum, times a coefficient that is smaller than ours by the number of values, plus a bias.
    coefficient = numpy(layer.weight)[:, None, None] / (kernel[0] * kernel[1])
    np.testing.assert_allclose(numpy(layer(x)), sums * coefficient + numpy(layer.bias)[:, None, None], atol=1e-5)


@pytest.mark.parametrize("digits", [True, False])
def test_rbf_units_give_minus_the_squared_distance(digits: bool) -> None:
    layer = EuclideanRBF(84, 10, digits=digits)
    x = 1.7159 * torch.tanh(torch.randn(5, 84))
    x[0] = layer.targets[7].detach()
    expected = -((numpy(x)[:, None] - numpy(layer.targets)[None]) ** 2).sum(2)
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-5, atol=1e-5)
    assert layer(x)[0, 7] == 0 and layer(x)[0].argmax() == 7
    assert [name for name, _ in layer.named_parameters()] == ([] if digits else ["targets"])
    assert list(layer.state_dict()) == ["targets"]


def test_the_bitmaps_are_ten_digits_that_differ_much() -> None:
    assert (ROWS, COLUMNS) == (12, 7)
    bitmaps = digit_bitmaps()
    assert len(bitmaps) == 10 and all(len(bitmap) == 84 and set(bitmap) == {-1, 1} for bitmap in bitmaps)
    for one, other in combinations(range(10), 2):
        differing = sum(a != b for a, b in zip(bitmaps[one], bitmaps[other], strict=True))
        assert differing >= 15, (one, other)
    # That they are the digits in their order: a stem, two symmetric ones, and where there is a horizontal line.
    rows = [
        ["".join(".#"[pixel > 0] for pixel in bitmap[start : start + 7]) for start in range(0, 84, 7)]
        for bitmap in bitmaps
    ]
    assert rows[1][3:11] == ["...##.."] * 8
    assert all(row == row[::-1] for digit in (0, 8) for row in rows[digit])
    assert rows[7][0] == "#######" and rows[5][0] == "#######" and rows[2][-1] == "#######"


# The whole network.


def lenet5() -> nn.Module:
    return build("lenet5-1998", (1, 32, 32), 10, init="lecun-1998", seed=3)


def test_the_connections_are_those_of_the_papers_table() -> None:
    conv = lenet5().get_submodule("conv2")
    assert isinstance(conv, TableConv2d)
    crosses = [line.split() for line in TABLE_I.strip().splitlines()]
    assert conv.table == tuple(tuple(row for row in range(6) if crosses[row][column] == "X") for column in range(16))


def test_the_network_has_the_papers_parameters_by_layer() -> None:
    network = lenet5()
    counts = {
        name: sum(p.numel() for p in layer.parameters() if p.requires_grad)
        for name, layer in network.named_children()
        if any(True for _ in layer.parameters())
    }
    assert counts == {
        "conv1": 156, "subsample1": 12, "conv2": 1_516, "subsample2": 32, "conv3": 48_120, "linear1": 10_164,
    }  # fmt: skip
    assert sum(counts.values()) == 60_000
    state = network.state_dict()
    assert state["conv2.weight"].shape == (60, 5, 5) and state["conv2.bias"].shape == (16,)
    assert state["subsample1.weight"].shape == state["subsample1.bias"].shape == (6,)
    assert state["rbf1.targets"].shape == (10, 84)


def test_the_network_computes_what_its_layers_say() -> None:
    network = lenet5()
    weights = {name: numpy(tensor) for name, tensor in network.state_dict().items()}

    def tanh(x: Array) -> Array:
        return 1.7159 * np.tanh(2 / 3 * x)

    def convolve(x: Array, name: str, table: Table) -> Array:
        weight = weights[f"{name}.weight"].reshape(-1, 5, 5)
        return tanh(table_convolution(x, Conv(len(table), (5, 5)), table, weight, weights[f"{name}.bias"]))

    def subsample(x: Array, name: str) -> Array:
        count, channels, height, width = x.shape
        means = x.reshape(count, channels, height // 2, 2, width // 2, 2).mean((3, 5))
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return tanh(weight[:, None, None] * means + bias[:, None, None])

    x = torch.rand(2, 1, 32, 32) * 1.275 - 0.1
    conv = network.get_submodule("conv2")
    assert isinstance(conv, TableConv2d)
    y = subsample(convolve(numpy(x), "conv1", ((0,),) * 6), "subsample1")
    y = subsample(convolve(y, "conv2", conv.table), "subsample2")
    y = convolve(y, "conv3", (tuple(range(16)),) * 120)
    y = tanh(y.reshape(2, 120) @ weights["linear1.weight"].T + weights["linear1.bias"])
    y = -((y[:, None] - np.array(digit_bitmaps())) ** 2).sum(2)
    np.testing.assert_allclose(numpy(network(x)), y, atol=1e-3)


def test_a_step_changes_every_trainable_tensor_and_nothing_else() -> None:
    network = lenet5()
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    nn.functional.cross_entropy(network(torch.rand(8, 1, 32, 32)), torch.arange(8)).backward()
    optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == set(before) - {"rbf1.targets"}
    # Every connection of the table too, not only some of them.
    assert (network.state_dict()["conv2.weight"] != before["conv2.weight"]).flatten(1).any(1).all()


def test_it_learns_the_digits_it_is_shown() -> None:
    network = lenet5()
    bitmaps = torch.tensor(digit_bitmaps(), dtype=torch.float32).view(10, 1, 12, 7)
    images = nn.functional.pad(bitmaps.repeat_interleave(2, 2).repeat_interleave(2, 3), (9, 9, 4, 4), value=-1.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), torch.arange(10)).backward()
        optimizer.step()
    assert network(images).argmax(1).tolist() == list(range(10))


def test_it_takes_channels_last_and_bfloat16() -> None:
    network, x = lenet5(), torch.rand(4, 1, 32, 32)
    plain = network(x)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last)), plain, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(x)
    # The distances are taken in float32 whatever the layers before them compute in.
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain, atol=2.0, rtol=0.02)
    mixed.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in network.parameters())


def test_its_gradients_repeat_bit_for_bit() -> None:
    x = torch.rand(16, 1, 32, 32)
    gradients = []
    for _ in range(2):
        network = lenet5()
        torch.use_deterministic_algorithms(True)
        try:
            nn.functional.cross_entropy(network(x), torch.arange(16) % 10).backward()
        finally:
            torch.use_deterministic_algorithms(False)
        gradients.append([p.grad for p in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_built_without_memory_it_is_whole_once_its_weights_are_loaded() -> None:
    network = lenet5()
    with torch.device("meta"):
        empty = build("lenet5-1998", (1, 32, 32), 10)
    assert empty(torch.zeros(2, 1, 32, 32, device="meta")).shape == (2, 10)
    empty.to_empty(device="cpu")
    load_into(empty, network.state_dict(), source="the other network")
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(empty(x), network(x))
