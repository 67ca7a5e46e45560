"""Where each unit looks, against the taps of every window followed back by hand and against torch's gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from neocog.errors import NotationError
from neocog.models import build
from neocog.notation import Layer, LayerShape, Network, parse

from .notation_strategies import elementwise, pairs, windowed
from .test_notation_shapes import LENET5, taps

EVERY_PADDING = "conv 2 4x3 same | conv 2 3x3 full | conv 2 3x2 pad 2x1 stride 2x1 | conv 2 3x3 dilation 2x1"
RESIDUAL = "conv 2 3x3 same | residual(conv 2 3x3 stride 2 pad 1 ; conv 2 1x1 stride 2) | residual(relu) | relu"
# The body takes two steps at a time, its shortcut three.
UNEVEN = "residual(conv 2 3x3 stride 2 | conv 2 4x4 ; conv 2 1x1 stride 3) | conv 2 2x2"
TWICE = f"{UNEVEN} | residual(conv 2 3x3 stride 2 ; conv 2 1x1 stride 3) | relu"
SIZE = 21


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(windowed(), elementwise()), min_size=1, max_size=5), pairs(30, 60), st.floats(0, 1))
def test_every_unit_sees_what_the_taps_lead_back_to(layers: list[Layer], size: tuple[int, int], where: float) -> None:
    try:
        found = Network(tuple(layers)).shapes((1, *size))
    except NotationError:
        assume(False)
    last = found[-1]
    unit = (round(where * (last.output_shape[1] - 1)), round(where * (last.output_shape[2] - 1)))
    assert last.sees(*unit) == (taps(found, 0, unit[0]), taps(found, 1, unit[1]))
    assert last.start == (taps(found, 0, 0)[0], taps(found, 1, 0)[0])
    for axis, (first, end) in enumerate(last.sees(*unit)):
        assert first == last.start[axis] + unit[axis] * last.jump[axis]
        assert end == first + last.receptive_field[axis] - 1


def by_gradient(text: str, unit: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The pixels of the image, the padding left out, on which an output unit depends."""
    network = build(text, (1, SIZE, SIZE)).double()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    x = torch.ones(1, 1, SIZE, SIZE, requires_grad=True, dtype=torch.float64)
    network(x)[(0, *unit)].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero()
    (top, left), (bottom, right) = seen.min(0).values.tolist(), seen.max(0).values.tolist()
    return (top, bottom), (left, right)


def clipped(layer: LayerShape, unit: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((max(first, 0), min(last, SIZE - 1)) for first, last in layer.sees(*unit))


@pytest.mark.parametrize("text", [EVERY_PADDING, RESIDUAL, UNEVEN, TWICE, "avgpool 3 stride 2 pad 1"])
def test_what_a_unit_sees_is_where_its_gradient_is(text: str) -> None:
    layer = parse(text).shapes((1, SIZE, SIZE))[-1]
    _, height, width = layer.output_shape
    for row, column in itertools.product({0, height // 2, height - 1}, {0, width // 3, width - 1}):
        assert clipped(layer, (row, column)) == by_gradient(text, (0, row, column))


@pytest.mark.parametrize("text", [f"{UNEVEN} | flatten | relu", f"{UNEVEN} | flatten | linear 3", "globalavgpool"])
def test_a_value_of_a_flat_layer_has_its_own_place_or_sees_all(text: str) -> None:
    layer = parse(text).shapes((1, SIZE, SIZE))[-1]
    for unit in {0, layer.output_shape[0] // 2, layer.output_shape[0] - 1}:
        assert clipped(layer, (unit,)) == by_gradient(text, (unit,))


def test_the_widest_field_of_an_uneven_residual_block_is_that_of_its_last_unit() -> None:
    end = parse("residual(conv 2 3x3 stride 2 ; conv 2 1x1 stride 3) | relu").shapes((1, 10, 10))[-1]
    assert [end.sees(row, 0)[0] for row in range(4)] == [(0, 2), (2, 4), (4, 6), (6, 9)]
    assert end.receptive_field == (4, 4)


def test_two_ways_that_see_different_parts_are_added_up() -> None:
    text = "residual(conv 1 5x5 pad 0x4 ; conv 1 5x5 pad 0x0 | conv 1 1x9 pad 0x8) | relu"
    layer = parse(text).shapes((1, 9, 9))[-1]
    assert layer.start == (0, -8)
    assert layer.receptive_field == (5, 13)


def test_lenet5_from_the_padding_to_the_whole_image() -> None:
    layers = {layer.name: layer for layer in parse(LENET5).shapes((1, 28, 28), 10)}
    assert layers["conv1"].sees(0, 0) == ((-2, 2), (-2, 2))
    assert layers["conv2"].sees(9, 3) == ((16, 29), (4, 17))
    assert layers["linear3"].sees(7) == ((-2, 29), (-2, 29))
    assert {layer.start for layer in layers.values()} == {(-2, -2)}


@pytest.mark.parametrize(("name", "unit"), [("conv2", (10, 0)), ("conv2", (0, -1)), ("linear3", (10,))])
def test_a_unit_that_is_not_there_is_refused(name: str, unit: tuple[int, ...]) -> None:
    layers = {layer.name: layer for layer in parse(LENET5).shapes((1, 28, 28), 10)}
    with pytest.raises(NotationError, match=r"its units are 0(,0 to 9,9| to 9), not"):
        layers[name].sees(*unit)
