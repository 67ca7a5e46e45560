"""The arithmetic around a layer against the textbook, against a matrix written out, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from neocog.arithmetic import connected, size_reasons, taking_part
from neocog.errors import NotationError
from neocog.notation import Conv, Layer, LayerShape, parse
from neocog.textbook import taking_part as by_definition
from notation.notation_strategies import convs, pairs, pools


def only(text: str, shape: tuple[int, int, int]) -> LayerShape:
    [layer] = parse(text).shapes(shape)
    return layer


@settings(max_examples=80, deadline=None)
@given(st.one_of(convs(1), pools()), pairs(1, 12))
def test_how_often_an_element_takes_part_is_what_the_textbook_counts(layer: Layer, size: tuple[int, int]) -> None:
    try:
        layer.output_shape((1, *size))
    except NotationError:
        assume(False)
    rows, columns = taking_part(layer, (1, *size))  # type: ignore[arg-type]
    spacing = layer.dilation if isinstance(layer, Conv) else (1, 1)
    counts = by_definition(
        size, layer.kernel, padding=layer.padding, stride=layer.stride, dilation=spacing  # type: ignore[attr-defined]
    )  # fmt: skip
    assert np.array_equal(np.outer(rows, columns), counts)


@settings(max_examples=40, deadline=None)
@given(convs(2), pairs(1, 6))
def test_the_weights_of_the_fully_connected_layer_are_those_of_the_matrix(conv: Conv, size: tuple[int, int]) -> None:
    shape = (2 * conv.groups, *size) if conv.table is None else (2, *size)
    try:
        [layer] = parse(str(conv)).shapes(shape)
    except NotationError:
        assume(False)
    full = connected(layer)
    matrix = matrix_of(conv, shape)
    assert matrix.shape == (full.inputs, full.outputs)
    assert full.weights == int((matrix != 0).sum())
    assert full.macs == matrix.size
    assert full.parameters == matrix.size + (matrix.shape[1] if conv.bias else 0)
    assert full.different >= len(np.unique(matrix[matrix != 0]))


def matrix_of(conv: Conv, shape: tuple[int, ...]) -> np.ndarray:
    """Send each single pixel through the convolution, whose weights all differ from one another and from zero."""
    inputs = shape[0] if conv.table is not None else shape[0] // conv.groups
    weight = torch.arange(1.0, conv.channels * inputs * conv.kernel[0] * conv.kernel[1] + 1, dtype=torch.float64)
    weight = weight.reshape(conv.channels, inputs, *conv.kernel)
    for channel, seen in enumerate(conv.table or ()):
        weight[channel, [other for other in range(inputs) if other not in seen]] = 0
    (top, bottom), (left, right) = conv.pads()
    pixels = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape)
    maps = F.conv2d(
        F.pad(pixels, (left, right, top, bottom)),
        weight,
        stride=conv.stride,
        dilation=conv.dilation,
        groups=conv.groups,
    )
    return maps.flatten(1).numpy()


def test_the_figures_of_the_course() -> None:
    layer = only("conv 10 5x5 pad 2", (3, 32, 32))
    full = connected(layer)
    assert (layer.parameters, full.parameters) == (760, (3 * 32 * 32 + 1) * 10 * 32 * 32)
    assert full.parameters == 31_467_520
    assert full.different == 750


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("conv 1 5x5 pad 2", ["stays: the window takes 5 - 1 = 4 lines away and the padding adds 2 + 2 = 4"]),
        ("conv 1 2x2", ["1 smaller: the window takes 2 - 1 = 1 line away and the padding adds 0 + 0 = 0"]),
        ("conv 1 3x3 full", ["2 larger: the window takes 3 - 1 = 2 lines away and the padding adds 2 + 2 = 4"]),
        (
            "conv 1 3x3 dilation 2",
            ["4 smaller: the window takes (3 - 1)*2 = 4 lines away and the padding adds 0 + 0 = 0"],
        ),
        ("maxpool 2", ["4: of the 9 - 1 + 0 = 8 positions the stride stops at every 2nd"]),
        ("conv 1 9x9 stride 2", ["1: there is 9 - 8 + 0 = 1 position alone, whatever the stride"]),
        ("maxpool 3 pad 1", ["3: of the 9 - 2 + 2 = 9 positions the stride stops at every 3rd"]),
        (
            "conv 1 4x3 same",
            [
                "height stays: the window takes 4 - 1 = 3 lines away and the padding adds 1 + 2 = 3",
                "width stays: the window takes 3 - 1 = 2 lines away and the padding adds 1 + 1 = 2",
            ],
        ),
    ],
)
def test_why_a_map_keeps_its_size_or_not(text: str, says: list[str]) -> None:
    layer = only(text, (1, 9, 9))
    assert size_reasons(layer.layer, layer.input_shape) == says  # type: ignore[arg-type]


def test_a_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(NotationError, match="too long to count on"):
        connected(only("conv 1 1000000x1 full dilation 1000000", (1, 5, 5)))
