"""What a unit sees: tried with NaN, computed from the notation, and published."""

from __future__ import annotations

import random

import pytest
import torch
from tests.explain.worlds import named_network, randomise
from torch import Tensor, nn

import neocog as nc
from neocog.explain import receptive_field
from neocog.explain.field import _by_notation, _by_trying, field_of
from neocog.explain.forward import record
from neocog.models import catalogue

WRITTEN = [
    *(entry.notation for entry in catalogue.entries() if entry.notation is not None and entry.input_shape[0] == 1),
    "conv 4 3x3 stride 2 pad 1 | relu | maxpool 3 stride 2 pad 1 | avgpool 2 | conv 4 2x2 | globalavgpool",
    "conv 4 4x4 same | residual(conv 6 3x3 stride 2 pad 1; conv 6 1x1 stride 2) | flatten | linear 3",
    "residual(conv 1 5x5 same | relu | conv 1 3x3 same) | scaledtanh | subsample 2 | conv 3 3x3 | flatten",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_trying_finds_what_the_notation_says(text: str) -> None:
    network = randomise(
        nc.build(text.replace("classes digits", "classes"), (1, 33, 35), None if "classes" not in text else 3)
    )
    forward, draw = record(network, torch.rand(1, 33, 35)), random.Random(0)
    for call in forward.layers():
        place = tuple(draw.randrange(size) for size in call.shape)
        computed = _by_notation(forward, call, place)
        assert computed is not None
        assert field_of(network, forward, call, place) == computed
        tried = _by_trying(network, forward, call, place)
        assert tried is not None
        assert (tried.rows, tried.columns) == computed.inside, call.name


def test_fields_of_resnet18_are_the_sum_over_its_kernels() -> None:
    # 1 + the sum of (kernel - 1) * jump: 1 + 6*1, + 2*2, + 4*2*4, + 2*4 + 3*2*8.
    network, _ = named_network("resnet18")
    image = torch.rand(3, 112, 112)
    for layer, place, size in (("conv1", 20, 7), ("maxpool", 10, 11), ("layer1", 13, 43), ("layer2", 7, 99)):
        field = receptive_field(network, image, layer, (0, place, place))
        assert field is not None and field.size == (size, size), layer


def test_a_channel_or_class_alone_sees_what_all_see() -> None:
    network, image = named_network("lenet5")
    fields = [receptive_field(network, image, "linear3", (unit,)) for unit in (0, 9)]
    assert fields[0] == fields[1]
    assert str(fields[0]).endswith("all of it")


def test_a_layer_exchanged_later_is_tried_and_not_computed() -> None:
    network = nc.build("conv 2 3x3 same | relu | flatten | linear 3", (1, 9, 9))
    network.conv1 = nn.Conv2d(1, 2, 5, padding=2)
    field = receptive_field(network, torch.rand(1, 9, 9), "relu1", (0, 4, 4))
    assert field is not None
    assert (field.rows, field.columns, field.padded) == ((2, 6), (2, 6), False)


def test_padding_is_told_from_the_image() -> None:
    network = nc.build("conv 2 5x5 pad 2 | flatten | linear 3", (1, 9, 9))
    field = receptive_field(network, torch.rand(1, 9, 9), "conv1", (0, 0, 8))
    assert field is not None
    assert (field.rows, field.columns) == ((-2, 2), (6, 10))
    assert field.inside == ((0, 2), (6, 8))
    assert str(field) == (
        "rows -2 to 2 and columns 6 to 10 of the 9x9 image (5x5); what lies outside of rows 0 to 2 and columns 6 to 8 "
        "is padding"
    )


def test_a_unit_that_sees_nothing_but_padding_has_no_field() -> None:
    network = nc.build("conv 2 1x1 pad 1 | flatten | linear 3", (1, 4, 4))
    assert receptive_field(network, torch.rand(1, 4, 4), "conv1", (0, 0, 2)) is None
    field = receptive_field(network, torch.rand(1, 4, 4), "conv1", (0, 1, 2))
    assert field is not None and (field.rows, field.columns) == ((0, 0), (1, 1))


def test_a_value_that_no_pixel_reaches_has_no_field() -> None:
    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(torch.ones_like(x))
            return out

    assert receptive_field(Deaf(), torch.rand(1, 4, 4), "inner", (0, 1, 1)) is None


def test_the_second_call_of_a_module_is_tried_as_such() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(self.conv(x))
            return out

    image = torch.rand(1, 11, 11)
    fields = [receptive_field(Twice(), image, name, (0, 5, 5)) for name in ("conv", "conv:2")]
    assert [field.size for field in fields if field is not None] == [(3, 3), (5, 5)]
