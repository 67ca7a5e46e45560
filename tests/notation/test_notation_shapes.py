from __future__ import annotations

from collections.abc import Sequence
from math import prod

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from neocog.errors import NotationError
from neocog.models import catalogue
from neocog.notation import Conv, Layer, LayerShape, MaxPool, Network, SumShape, parse, parse_shape

from .notation_strategies import elementwise, fitting_networks, last_layers, layers, pairs, windowed

MNIST = (1, 28, 28)


def only(text: str, shape: Sequence[int], num_classes: int | None = None) -> LayerShape:
    (layer,) = parse(text).shapes(shape, num_classes)
    return layer


def total(text: str, shape: Sequence[int]) -> int:
    return sum(layer.parameters for layer in parse(text).shapes(shape, 10))


def sizes(text: str, shape: Sequence[int]) -> list[tuple[int, ...]]:
    return [layer.output_shape for layer in parse(text).shapes(shape)]


# The course's figures.


@pytest.mark.parametrize(
    ("text", "size", "output"),
    [
        ("conv 1 3x3 pad 1", 28, 28),
        ("conv 1 2x2", 5, 4),
        ("maxpool 2 pad 1", 6, 4),
        ("maxpool 3 stride 2 pad 1", 6, 3),
        ("conv 1 5x5 stride 2", 28, 12),
        ("conv 1 3x3", 7, 5),
        ("conv 1 3x3 stride 2", 7, 3),
        ("conv 1 3x3 stride 3", 7, 2),
        ("conv 1 3x3 stride 3 pad 1", 7, 3),
        ("maxpool 2 pad 1", 7, 4),
    ],
)
def test_output_sizes_of_the_course(text: str, size: int, output: int) -> None:
    assert only(text, (1, size, size)).output_shape == (1, output, output)


def test_stacked_filters_of_the_course() -> None:
    assert only("conv 1 5x5", (3, 32, 32)).output_shape == (1, 28, 28)
    assert sizes("conv 4 5x5 | conv 10 5x5", (3, 32, 32)) == [(4, 28, 28), (10, 24, 24)]
    assert only("conv 5 1x1", (3, 32, 32)).output_shape == (5, 32, 32)


def test_parameters_of_a_convolution_and_of_the_linear_layer_that_gives_the_same_output() -> None:
    conv = only("conv 10 5x5 pad 2", (3, 32, 32))
    assert conv.parameters == 760
    assert conv.output_shape == (10, 32, 32)
    linear = parse(f"flatten | linear {prod(conv.output_shape)} nobias").shapes((3, 32, 32))[-1]
    assert linear.parameters == 31_457_280
    assert only("maxpool 2", (3, 32, 32)).parameters == 0


def test_a_linear_layer_is_a_convolution_with_a_kernel_as_large_as_its_input() -> None:
    conv = only("conv 120 5x5", (16, 5, 5))
    linear = parse("flatten | linear 120").shapes((16, 5, 5))[-1]
    assert (conv.parameters, conv.macs) == (linear.parameters, linear.macs) == (48_120, 48_000)


def test_how_many_small_kernels_it_takes_to_shrink_a_large_image() -> None:
    layers = parse("511 * (conv 1 2x2)").shapes((1, 512, 512))
    assert layers[-1].output_shape == (1, 1, 1)
    assert layers[-1].receptive_field == (512, 512)
    assert parse("255 * (conv 1 3x3)").shapes((1, 512, 512))[-1].output_shape == (1, 2, 2)


LENET5 = (
    "conv 6 5x5 pad 2 | relu | maxpool 2 | conv 16 5x5 | relu | maxpool 2\n"
    "flatten | linear 120 | relu | linear 84 | relu | linear classes"
)


def test_lenet5_layer_by_layer() -> None:
    layers = parse(LENET5).shapes(MNIST, num_classes=10)
    assert [layer.parameters for layer in layers if layer.parameters] == [156, 2_416, 48_120, 10_164, 850]
    assert sum(layer.parameters for layer in layers) == 61_706
    assert [layer.output_shape for layer in layers if layer.kind == "flatten"] == [(400,)]
    assert layers[-1].text == "linear 10"


def test_the_other_networks_of_the_course() -> None:
    conv32 = "conv 32 3x3 same | relu | maxpool 2 | conv 64 3x3 same | relu | maxpool 2"
    week4 = f"{conv32} | flatten | linear 1024 | linear 128 | linear 10"
    assert parse(week4).shapes(MNIST)[6].output_shape == (3136,)
    cnn2 = f"{conv32} | conv 128 3x3 same | relu | maxpool 2 pad 1 | flatten"
    assert sizes(cnn2, MNIST)[-2:] == [(128, 4, 4), (2048,)]
    fashion = "conv 10 3x3 same | relu | maxpool 2 | flatten | dropout 0.5 | linear 100 | relu | linear 10"
    layers = parse(fashion).shapes(MNIST)
    assert [layer.parameters for layer in layers if layer.parameters] == [100, 196_100, 1_010]
    assert total(fashion, MNIST) == 197_210


def test_the_original_lenet5_layer_by_layer() -> None:
    layers = parse(catalogue.find("lenet5-1998").notation or "").shapes((1, 32, 32), num_classes=10)
    named = {layer.name: layer for layer in layers}
    assert [layer.parameters for layer in layers if layer.parameters] == [156, 12, 1_516, 32, 48_120, 10_164]
    assert sum(layer.parameters for layer in layers) == 60_000
    assert named["conv2"].parameter_shapes == {"weight": (60, 5, 5), "bias": (16,)}
    # C1, S2, C3, S4, C5 of the paper: the sizes of the maps and what of the image a unit sees.
    maps = ["conv1", "subsample1", "conv2", "subsample2", "conv3"]
    assert [named[name].output_shape for name in maps] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120, 1, 1),
    ]
    assert [named[name].receptive_field[0] for name in maps] == [5, 6, 14, 16, 32]
    assert layers[-1].receptive_field == (32, 32)
    # The paper's connections, each bias being one: 122,304 in C1, 151,600 in C3, 48,120 in C5.
    for name, connections in (("conv1", 122_304), ("conv2", 151_600), ("conv3", 48_120)):
        assert named[name].macs + prod(named[name].output_shape) == connections
    assert layers[-1].macs == 840


def test_a_table_of_all_maps_counts_as_no_table_does() -> None:
    table, plain = (only(f"conv 3 5x3 stride 2 pad 1{end}", (2, 9, 9)) for end in (" table 0+1 0+1 0+1", ""))
    assert (table.parameters, table.macs, table.output_shape) == (plain.parameters, plain.macs, plain.output_shape)
    assert (table.receptive_field, table.note) == (plain.receptive_field, plain.note)


# PyTorch as an oracle.


def as_module(layer: LayerShape) -> nn.Module | None:
    """Build what `LayerShape.torch` says, on the meta device; None for an expression."""
    if not layer.torch.startswith("nn."):
        return None
    with torch.device("meta"):
        module: nn.Module = eval(layer.torch, {"nn": nn})
    return module


def expression(text: str, layer: Layer, x: torch.Tensor, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What `LayerShape.torch` says of a layer that is no module of PyTorch."""
    names: dict[str, object] = {"torch": torch, "nn": nn, "x": x, **values}
    if isinstance(layer, Conv) and layer.table is not None:
        connections = [(output, seen) for output, entry in enumerate(layer.table) for seen in entry]
        names["outputs"], names["inputs"] = map(torch.tensor, zip(*connections, strict=True))
    result: torch.Tensor = eval(text, names)
    return result


def check_against_torch(layer: LayerShape) -> None:
    x = torch.empty((2, *layer.input_shape), device="meta")
    module = as_module(layer)
    if module is None:
        given = layer.parameter_shapes if layer.text != "rbf 10 digits" else {"targets": (10, 84)}
        values = {name: torch.empty(shape) for name, shape in given.items()}
        assert expression(layer.torch, layer.layer, torch.empty(2, *layer.input_shape), values).shape == (
            2,
            *layer.output_shape,
        )
        return
    counter = FlopCounterMode(display=False)
    with counter:
        output = module(x)
    assert tuple(output.shape[1:]) == layer.output_shape
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == dict(layer.parameter_shapes)
    assert layer.parameters == sum(p.numel() for p in module.parameters())
    assert counter.get_total_flops() == 2 * 2 * layer.macs  # two images, an addition and a product


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=200, deadline=None)
@given(st.one_of(layers(), last_layers()), st.integers(1, 4), pairs(1, 20), st.booleans())
def test_every_layer_agrees_with_its_torch_module(
    layer: Layer, channels: int, size: tuple[int, int], flat: bool
) -> None:
    if flat:
        network, shape = Network((*parse("flatten").children, layer)), (84 if channels == 1 else channels, 1, 1)
    else:
        network, shape = Network((layer,)), (channels * getattr(layer, "groups", 1), *size)
    try:
        found = network.shapes(shape)[-1]
    except NotationError:
        # Not ours to test here: what is refused is in the table of errors.
        assume(False)
    assume(max(found.parameters, found.macs) < 10**7)
    check_against_torch(found)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=50, deadline=None)
@given(fitting_networks(), pairs(24, 40))
def test_every_layer_of_a_network_agrees_with_its_torch_module(network: Network, size: tuple[int, int]) -> None:
    found = network.shapes((2, *size), num_classes=5)
    assert [layer.name for layer in found] == [name for name, _ in network.named_layers()]
    assert found[-1].output_shape == (5,)
    for layer in found:
        check_against_torch(layer)


@settings(max_examples=50, deadline=None)
@given(windowed(), st.integers(1, 12))
def test_too_small_an_input_is_refused_by_torch_as_well(layer: Layer, size: int) -> None:
    try:
        Network((layer,)).shapes((1, size, size))
    except NotationError:
        text, x = layer.torch((1, size, size)), torch.empty((1, 1, size, size))
        values = {name: torch.empty(shape) for name, shape in layer.parameter_shapes((1, size, size)).items()}
        with pytest.raises(RuntimeError):
            eval(text, {"nn": nn})(x) if text.startswith("nn.") else expression(text, layer, x, values)


# Receptive fields.


def taps(layers: Sequence[LayerShape], axis: int, unit: int) -> tuple[int, int]:
    """The first and last pixel behind a unit, by following every tap of every window back to the image."""
    if not layers:
        return unit, unit
    layer = layers[-1].layer
    if not hasattr(layer, "windows"):
        return taps(layers[:-1], axis, unit)
    window = layer.windows(layers[-1].input_shape)[axis]
    first = unit * window.stride - window.before
    ends = [taps(layers[:-1], axis, first + tap * window.dilation) for tap in {0, window.kernel - 1}]
    return min(low for low, _ in ends), max(high for _, high in ends)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(windowed(), elementwise()), min_size=1, max_size=5), pairs(30, 60))
def test_receptive_field_and_jump_follow_from_the_taps(layers: list[Layer], size: tuple[int, int]) -> None:
    try:
        found = Network(tuple(layers)).shapes((1, *size))
    except NotationError:
        assume(False)
    for axis in (0, 1):
        low, high = taps(found, axis, 0)
        assert found[-1].receptive_field[axis] == high - low + 1
        assert found[-1].jump[axis] == taps(found, axis, 1)[0] - low


def test_receptive_field_is_where_the_gradient_is() -> None:
    text = "conv 2 3x2 | avgpool 2 | residual(conv 2 3x3 same | relu) | conv 2 3x3 stride 2 dilation 2x1"
    layers = parse(text).shapes((1, 60, 60))
    modules = dict(zip((layer.name for layer in layers), map(eval, (layer.torch for layer in layers)), strict=True))
    for module in modules.values():
        for parameter in module.parameters():
            nn.init.ones_(parameter)
    x = torch.ones(1, 1, 60, 60, requires_grad=True)
    y = modules["pool1"](modules["conv1"](x))
    y = modules["conv2"](y + modules["block1.relu1"](modules["block1.conv1"](y)))
    y[0, 0, 5, 5].backward()
    seen = x.grad[0, 0].nonzero()
    extent = tuple((seen.max(0).values - seen.min(0).values + 1).tolist())
    assert extent == layers[-1].receptive_field


def test_a_linear_layer_sees_all_that_the_flattened_map_saw() -> None:
    layers = {layer.name: layer for layer in parse(LENET5).shapes(MNIST, 10)}
    assert layers["pool2"].receptive_field == layers["flatten1"].receptive_field == (16, 16)
    # 28 pixels and the 2 lines of padding on each side.
    assert layers["linear1"].receptive_field == layers["linear3"].receptive_field == (32, 32)
    pooled = parse("conv 4 3x3 | globalavgpool").shapes((1, 9, 7))[-1]
    assert pooled.receptive_field == (9, 7)


# Blocks, classes, notes, shapes as text.


def test_a_residual_block_keeps_the_wider_view() -> None:
    layers = parse("residual(conv 4 3x3 same | conv 4 3x3 same) | conv 4 3x3").shapes((4, 9, 9))
    assert [layer.receptive_field for layer in layers] == [(3, 3), (5, 5), (7, 7)]
    layers = parse("residual(relu ; conv 4 5x5 same) | relu").shapes((4, 9, 9))
    assert [layer.input_shape for layer in layers] == [(4, 9, 9)] * 3
    assert layers[-1].receptive_field == (5, 5)


@pytest.mark.parametrize(
    ("body", "came"),
    [
        ("conv 16 3x3 same", (8, 9, 9)),
        ("conv 16 3x3 stride 2 pad 1", (8, 28, 28)),
        ("conv 16 3x3 stride 3x2 pad 1", (8, 28, 27)),
        ("conv 4 3x3", (8, 7, 7)),
        ("conv 4 3x1 full | conv 4 2x2", (8, 7, 7)),
        ("flatten | linear 9", (8, 5, 5)),
    ],
)
def test_the_proposed_shortcut_works(body: str, came: tuple[int, int, int]) -> None:
    with pytest.raises(NotationError) as caught:
        parse(f"residual({body})").shapes(came)
    shortcut = str(caught.value).partition("residual(... ; ")[2].partition(")'")[0]
    if not shortcut:
        assert "Make the body give" in str(caught.value)
        return
    layers = parse(f"residual({body} ; {shortcut}) | relu").shapes(came)
    assert layers[-1].input_shape == parse(body).shapes(came)[-1].output_shape


def test_classes_are_filled_in_wherever_the_word_stands() -> None:
    layers = parse("flatten | linear classes | relu | linear classes").shapes(MNIST, num_classes=3)
    assert [layer.output_shape for layer in layers] == [(784,), (3,), (3,), (3,)]
    assert parse("conv 10 3x3 | globalavgpool").shapes(MNIST, num_classes=10)[-1].output_shape == (10,)


def test_the_sum_of_a_residual_block_stands_behind_its_layers() -> None:
    network = parse(
        "2 * (residual(conv 4 3x3 same | residual(relu)) | relu) | residual(relu ; conv 4 1x1 | conv 4 3x3 same)"
    )
    parts = network.parts((4, 9, 9))
    assert [part for part in parts if isinstance(part, LayerShape)] == network.shapes((4, 9, 9))
    sums = [part for part in parts if isinstance(part, SumShape)]
    assert [(found.name, found.body, found.shortcut) for found in sums] == [
        ("block1.block1.block1", "block1.block1.block1.relu1", None),
        ("block1.block1", "block1.block1.block1", None),
        ("block2.block1.block1", "block2.block1.block1.relu1", None),
        ("block2.block1", "block2.block1.block1", None),
        ("block3", "block3.relu1", "block3.shortcut.conv2"),
    ]
    assert parts[-1] is sums[-1]
    assert sums[-1].view_out.field == (7, 7)


HUGE = st.one_of(st.integers(1, 3), st.integers(999_990, 1_000_000), st.integers(1, 1_000_000))


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(HUGE, HUGE),
    st.tuples(HUGE, HUGE),
    st.tuples(HUGE, HUGE),
    st.tuples(HUGE, HUGE),
    st.sampled_from(["conv", "maxpool"]),
)
def test_the_largest_numbers_are_reckoned_with_or_refused(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], size: tuple[int, int], word: str
) -> None:
    layer: Layer = Conv(4, kernel, stride, (0, 0), dilation) if word == "conv" else MaxPool(kernel, stride)
    assume(size[1] > 4)
    try:
        (found,) = Network((layer,)).shapes((1, *size))
    except NotationError as error:
        assert " on " in str(error) and "no position of the window fits" in str(error)
    else:
        assert min(found.output_shape) >= 1


def test_a_shape_is_channels_height_width() -> None:
    assert parse_shape("1x28x28") == (1, 28, 28)
    assert parse_shape(" 3 x 64x48 ") == (3, 64, 48)
    assert parse_shape("64x3x3") == (64, 3, 3)
    with pytest.raises(NotationError, match="write '1x28x28'"):
        parse_shape("28x28x1")
    with pytest.raises(NotationError, match="write '3x32x48'"):
        parse("relu").shapes((32, 48, 3))
    with pytest.raises(NotationError, match="three whole numbers"):
        parse("relu").shapes((1, 28.0, 28))  # type: ignore[arg-type]


def test_an_even_kernel_pads_the_extra_line_at_the_bottom_and_right() -> None:
    assert Conv(1, (4, 3), padding="same").pads() == ((1, 2), (1, 1))
    x, kernel = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 4, 4)
    padded = nn.functional.pad(x, (1, 2, 1, 2))
    expected = nn.functional.conv2d(padded, kernel)
    module = eval(only("conv 1 4x4 same nobias", (1, 6, 6)).torch)
    module.weight.data = kernel
    torch.testing.assert_close(module(x), expected)
