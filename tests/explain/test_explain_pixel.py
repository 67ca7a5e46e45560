"""One value worked out again is the network's own, on every layer of every named network and of every kind."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain.worlds import named_network, randomise
from torch import Tensor, nn

import neocog as nc
from neocog.errors import DataError, ModelError
from neocog.explain import explain_pixel
from neocog.explain.forward import Call, record
from neocog.explain.pixel import PixelArithmetic, arithmetic, chain
from neocog.explain.pointwise import ACTIVATIONS
from neocog.models import catalogue


def somewhere(call: Call, draw: random.Random) -> tuple[int, ...]:
    return tuple(draw.randrange(size) for size in call.shape)


def everywhere(call: Call) -> list[PixelArithmetic]:
    return [arithmetic(call, place) for place in np.ndindex(call.shape)]


def of_layer(layer: nn.Module, x: Tensor) -> list[PixelArithmetic]:
    """The arithmetic of every value that a layer gives for one input (C, H, W)."""
    forward = record(nn.Sequential(randomise(layer)), x)
    [call] = forward.calls()
    return everywhere(call)


@pytest.mark.parametrize("name", catalogue.names())
def test_the_pixel_is_the_networks_on_every_layer_of_every_named_network(name: str) -> None:
    network, image = named_network(name)
    forward, draw = record(network, image), random.Random(name)
    calls = [*forward.calls(), forward.network]
    assert {call.module for call in calls} == set(network.modules())
    for call in calls:
        for _ in range(3):
            found = arithmetic(call, somewhere(call, draw))
            assert found.checked, found.text()
            assert found.agrees, found.text()
    # By itself the network may run in fused blocks, which round otherwise.
    with torch.no_grad():
        torch.testing.assert_close(forward.network.output, network.eval()(image[None]), rtol=1e-4, atol=1e-3)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(st.data())
@settings(max_examples=50, deadline=None)
def test_convolutions_of_any_geometry(data: st.DataObject) -> None:
    groups = data.draw(st.sampled_from([1, 2, 3]))
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    mode = data.draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    padding: str | tuple[int, int] = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    if data.draw(st.booleans()):
        padding, stride = "same", (1, 1)
    layer = nn.Conv2d(
        groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2)), kernel, stride=stride,
        padding=padding, dilation=dilation, groups=groups, padding_mode=mode, bias=data.draw(st.booleans()),
    )  # fmt: skip
    x = torch.randn(layer.in_channels, 7, 8, generator=torch.Generator().manual_seed(0))
    for found in of_layer(layer, x)[:: data.draw(st.integers(1, 5))]:
        assert found.checked and found.agrees, found.text()
        assert found.step is not None and found.step.value == pytest.approx(found.output, abs=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=(1, 2)),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.MaxPool2d(2, return_indices=True),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        nn.AvgPool2d((2, 3), stride=(3, 2), padding=(1, 1), ceil_mode=True),
        nn.AvgPool2d(2, divisor_override=3),
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.AdaptiveMaxPool2d((3, 2)),
        nn.AdaptiveAvgPool2d(1),
    ],
    ids=str,
)
def test_pools_of_any_kind(layer: nn.Module) -> None:
    x = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    for found in of_layer(layer, x):
        assert found.checked and found.agrees, found.text()
        assert found.step is not None and found.step.kernel is None


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4, affine=False, eps=0.1),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.GroupNorm(2, 4),
        nn.LayerNorm([5, 3]),
        nn.LayerNorm([4, 5, 3]),
        nn.PReLU(4),
        nn.Softmax(dim=1),
        nn.LogSoftmax(dim=2),
        nn.Dropout(0.5),
        nn.Dropout2d(0.5),
        nn.Identity(),
        nn.Flatten(),
        nn.Linear(3, 6),
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        nn.LeakyReLU(0.2),
        nn.ELU(1.5),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.SiLU(),
        nn.GELU(),
        nn.GELU(approximate="tanh"),
        nn.Hardtanh(-0.5, 2),
        nn.Hardswish(),
        nn.Hardsigmoid(),
    ],
    ids=str,
)
def test_layers_that_look_at_single_values(layer: nn.Module) -> None:
    x = 3 * torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    for found in of_layer(layer, x):
        assert found.checked and found.agrees, found.text()


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.PReLU(), *(kind() for kind in ACTIVATIONS)],
    ids=lambda layer: type(layer).__name__,
)
def test_nan_passes_as_in_the_network(layer: nn.Module) -> None:
    for found in of_layer(layer, torch.full((2, 4, 4), torch.nan)):
        assert found.agrees, found.text()


def test_convolution_in_one_dimension() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool = nn.Conv1d(3, 4, 3, padding=1, stride=2), nn.MaxPool1d(2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.pool(self.conv(x.mean(3)))
            return out

    forward = record(Rows(), torch.randn(3, 12, 2))
    for call in forward.calls():
        for found in everywhere(call):
            assert found.checked and found.agrees, found.text()


def test_a_layer_whose_output_is_overwritten_shows_its_own() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True))
    forward = record(randomise(model), torch.randn(1, 8, 8))
    conv, relu, *_ = forward.calls()
    assert conv.output is not None and relu.output is not None
    assert float(conv.output.min()) < 0 <= float(relu.output.min())
    assert all(found.agrees for call in (conv, relu) for found in everywhere(call))


def test_fused_blocks_and_channels_last_give_the_same_arithmetic() -> None:
    text = "conv 8 3x3 same | relu | maxpool 2 | conv 8 3x3 same | relu | maxpool 2 | flatten | linear classes"
    network = nc.build(text, (3, 16, 16), 4, seed=0).to(memory_format=torch.channels_last)
    forward, draw = record(network, torch.rand(3, 16, 16)), random.Random(0)
    for call in forward.calls():
        assert arithmetic(call, somewhere(call, draw)).agrees


def test_buffers_that_a_layer_writes_in_evaluation_are_left_as_they_were() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(1, 2, 3)
            self.register_buffer("written", torch.zeros(()))
            self.register_buffer("exchanged", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.written += 1
            self.exchanged = self.exchanged + 1
            out: Tensor = self.inner(x)
            return out

    network = Counting()
    buffers = dict(network.named_buffers())
    explain_pixel(network, torch.rand(1, 5, 5), "inner", (0, 1, 1))
    assert all(buffers[name] is buffer and float(buffer) == 0 for name, buffer in network.named_buffers())


def test_the_model_is_left_as_it_was() -> None:
    network, image = named_network("small-cnn")
    network.train()
    network.conv1.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    flags = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    given = image.clone()
    explain_pixel(network, image, "conv2", (0, 1, 1))
    assert [module.training for module in network.modules()] == flags
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(image, given)


class Doubled(nn.Conv2d):
    """A convolution that does something of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def test_a_layer_with_a_forward_of_its_own_is_not_said_to_be_worked_out() -> None:
    found = explain_pixel(nn.Sequential(Doubled(1, 1, 3)), torch.randn(1, 5, 5), "0", (0, 1, 1))
    assert not found.checked and found.step is None
    assert "not written out here" in found.text() and "not worked out here" in found.text()


def test_it_says_so_where_the_network_gives_something_else() -> None:
    layer = nn.Conv2d(1, 1, 3)
    layer.register_forward_hook(lambda module, inputs, output: output + 0.01)
    found = explain_pixel(nn.Sequential(layer), torch.randn(1, 5, 5), "0", (0, 1, 1))
    assert not found.agrees
    assert found.difference == pytest.approx(0.01, rel=0.01)
    assert "NOT equal" in found.text()


def test_a_residual_block_is_the_sum_of_its_two_ways() -> None:
    network = randomise(nc.build("residual(conv 2 3x3 same | relu) | flatten | linear classes", (2, 4, 4), 3))
    image = torch.randn(2, 4, 4)
    forward = record(network, image)
    found = arithmetic(forward.find("block1"), (1, 2, 3))
    assert found.checked and found.agrees
    body = forward.find("block1.relu1").output
    assert body is not None
    assert found.value == pytest.approx(float(body[0, 1, 2, 3]) + float(image[1, 2, 3]))
    assert "block1.relu1 gives" in found.text() and "its own input" in found.text()


def test_the_second_call_of_a_module_has_a_name_of_its_own() -> None:
    network, image = named_network("resnet18")
    forward = record(network, image)
    first, second = forward.find("layer1.0.relu"), forward.find("layer1.0.relu:2")
    assert first.module is second.module
    assert not torch.equal(first.output, second.output)  # type: ignore[arg-type]


def test_the_chain_leads_from_the_window_to_the_last_activation() -> None:
    network, image = named_network("small-cnn")
    forward = record(network, image)
    for name in ("conv2", "batchnorm2", "relu2"):
        parts = chain(forward, forward.find(name), (3, 1, 2))
        assert [part.layer for part in parts] == ["conv2", "batchnorm2", "relu2"]
        values = [part.output for part in parts]
        assert values[2] == max(0.0, values[1])
    assert [part.layer for part in chain(forward, forward.find("pool2"), (3, 1, 1))] == ["pool2"]


def test_what_is_not_there_is_refused_with_what_is() -> None:
    network, image = named_network("lenet5")
    for layer, place, says in (
        ("conv3", (0, 0, 0), "no layer is called 'conv3'. Did you mean conv2 or conv1? There are conv1, relu1"),
        ("conv1", (6, 0, 0), "conv1 gives 6x12x12 (channels 0 to 5, rows 0 to 11, columns 0 to 11): channel 6"),
        ("conv1", (0, 0, -1), "lies outside of it"),
        ("conv1", (0, 0), "a place in it has 3 numbers, not (0, 0)"),
        ("conv1", (0, 0.5, 0), "a place is one or several whole numbers, not (0, 0.5, 0)"),
        ("linear1", (120,), "linear1 gives 120 values (0 to 119): unit 120 lies outside of it"),
    ):
        with pytest.raises(ModelError, match=re.escape(says)):
            explain_pixel(network, image, layer, place)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="expected one image"):
        explain_pixel(network, torch.zeros(2, 1, 12, 12), "conv1", (0, 0, 0))
    with pytest.raises(ModelError, match="cannot take an image of 3x12x12"):
        explain_pixel(network, torch.zeros(3, 12, 12), "conv1", (0, 0, 0))


def test_a_module_that_was_not_called_is_named_as_such() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Flatten(), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.used(x)
            return out

    with pytest.raises(ModelError, match="spare was not called"):
        explain_pixel(Spare(), torch.zeros(1, 2, 2), "spare", (0,))
