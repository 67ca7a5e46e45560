"""The notation's arithmetic against the textbook, which slides the window instead of reckoning."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neocog import textbook
from neocog.errors import NotationError
from neocog.notation import Conv, Layer, LayerShape, MaxPool, Network

from .notation_strategies import convs, pools

SIDES = st.integers(1, 12)


def shape_of(layer: Layer, shape: tuple[int, int, int]) -> LayerShape:
    try:
        [found] = Network((layer,)).shapes(shape)
    except NotationError:
        assume(False)
    return found


@settings(max_examples=60, deadline=None)
@given(conv=convs(groups=2), height=SIDES, width=SIDES)
def test_the_size_the_weights_and_the_products_of_a_convolution_are_the_textbooks(
    conv: Conv, height: int, width: int
) -> None:
    assume(conv.table is None)
    shape = (2 * conv.groups, height, width)
    layer = shape_of(conv, shape)
    weight = np.ones((conv.channels, shape[0] // conv.groups, *conv.kernel))
    bias = np.ones(conv.channels) if conv.bias else None
    watched = list(
        textbook.correlation_steps(
            np.ones(shape), weight, bias,
            stride=conv.stride, padding=conv.padding, dilation=conv.dilation, groups=conv.groups,
        )
    )  # fmt: skip
    last = watched[-1]
    assert layer.output_shape == (last.channel + 1, *(place + 1 for place in last.position))
    assert layer.parameters == weight.size + (0 if bias is None else bias.size)
    assert layer.macs == sum(step.products.size for step in watched)
    # the field of a first layer spans its window's taps, and neighbouring fields lie a stride apart
    assert layer.view_out.field == tuple(
        (taps - 1) * apart + 1 for taps, apart in zip(last.window.shape[1:], last.dilation, strict=True)
    )
    assert layer.view_out.jump == conv.stride


@settings(max_examples=60, deadline=None)
@given(pool=pools(), height=SIDES, width=SIDES)
def test_the_size_of_a_pool_is_the_textbooks(pool: MaxPool, height: int, width: int) -> None:
    layer = shape_of(pool, (2, height, width))
    found = textbook.max_pool2d(np.zeros((2, height, width)), pool.kernel, stride=pool.stride, padding=pool.padding)
    assert layer.output_shape == found.shape


@settings(max_examples=100, deadline=None)
@given(data=st.data(), kernel=st.integers(1, 5), padding=st.integers(0, 3), more=st.tuples(SIDES, SIDES))
def test_a_note_says_that_lines_are_not_seen_exactly_where_some_take_part_in_nothing(
    data: st.DataObject, kernel: int, padding: int, more: tuple[int, int]
) -> None:
    # a stride larger than the kernel leaves out lines in between as well, and so may taps that stand apart
    stride, dilation = data.draw(st.integers(1, kernel + 2)), data.draw(st.integers(1, 3))
    reach = (kernel - 1) * dilation + 1
    size = (reach + more[0] - 1, reach + more[1] - 1)
    conv = Conv(1, (kernel, kernel), (stride, stride), (padding, padding), (dilation, dilation))
    [layer] = Network((conv,)).shapes((1, *size))
    counts = textbook.taking_part(size, kernel, padding, stride, dilation)
    unseen = layer.note is not None and "not seen" in layer.note
    assert unseen == bool((counts == 0).any())
