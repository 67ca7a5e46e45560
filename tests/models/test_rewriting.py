from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neocog import build
from neocog.errors import ModelError
from neocog.models.network import SameConv2d
from neocog.models.rewriting import conv_as_linear, conv_pattern, linear_as_conv

# PyTorch warns of copies that it makes
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
SEEDS = st.integers(0, 2**32 - 1)


def equal(found: Tensor, expected: Tensor) -> bool:
    assert found.shape == expected.shape
    return bool((found - expected).abs().max() <= 1e-6 * max(1.0, float(expected.detach().abs().max())))


def randomly(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def convs(draw: st.DrawFn) -> tuple[nn.Conv2d, tuple[int, int, int]]:
    def pair(least: int, most: int) -> tuple[int, int]:
        return draw(st.tuples(*[st.integers(least, most)] * 2))

    groups, kernel, dilation = draw(st.integers(1, 3)), pair(1, 4), pair(1, 2)
    padding = draw(st.sampled_from(["same", "valid"]) | st.just(pair(0, 3)))
    more = pair(0, 4)
    conv = nn.Conv2d(
        groups * draw(st.integers(1, 2)),
        groups * draw(st.integers(1, 3)),
        kernel,
        stride=(1, 1) if padding == "same" else pair(1, 3),
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=draw(st.booleans()),
    )
    size = [(taps - 1) * apart + 1 + extra for taps, apart, extra in zip(kernel, dilation, more, strict=True)]
    return conv, (conv.in_channels, size[0], size[1])


@settings(max_examples=60, deadline=None)
@given(drawn=convs(), seed=SEEDS)
def test_a_convolution_and_the_linear_layer_made_of_it_give_equal_outputs(
    drawn: tuple[nn.Conv2d, tuple[int, int, int]], seed: int
) -> None:
    conv, shape = drawn
    x = torch.randn(2, *shape, generator=randomly(seed))
    linear = conv_as_linear(conv, shape)
    assert equal(linear(x.flatten(1)), conv(x).flatten(1))
    assert (linear.bias is None) == (conv.bias is None)


@settings(max_examples=40, deadline=None)
@given(drawn=convs())
def test_the_pattern_says_which_weight_stands_where_and_where_none_does(
    drawn: tuple[nn.Conv2d, tuple[int, int, int]],
) -> None:
    conv, shape = drawn
    pattern, matrix = conv_pattern(conv, shape), conv_as_linear(conv, shape).weight
    assert pattern.shape == tuple(matrix.shape) == tuple(pattern.mask.shape)
    assert tuple(conv(torch.zeros(1, *shape)).shape[1:]) == pattern.output_shape
    assert pattern.input_shape == shape
    shared = conv.weight.flatten()[pattern.places.clamp(min=0)]
    assert torch.equal(matrix, torch.where(pattern.mask, shared, 0.0))
    # no output has a weight twice, and each weight serves every map position that it reaches
    assert len(pattern.weights) == int(pattern.mask.sum())
    ones = nn.Conv2d(1, 1, conv.kernel_size, conv.stride, conv.padding, conv.dilation, bias=False)
    nn.init.ones_(ones.weight)
    seen = ones(torch.ones(1, 1, *shape[1:])).sum() * conv.weight.numel() / conv.weight[0, 0].numel()
    assert len(pattern.weights) == int(seen)


@settings(max_examples=40, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 5)] * 3), outputs=st.integers(1, 6), bias=st.booleans(), seed=SEEDS)
def test_a_linear_layer_and_the_convolution_made_of_it_give_equal_outputs(
    shape: tuple[int, int, int], outputs: int, bias: bool, seed: int
) -> None:
    channels, height, width = shape
    linear = nn.Linear(channels * height * width, outputs, bias=bias)
    conv = linear_as_conv(linear, shape)
    x = torch.randn(2, *shape, generator=randomly(seed))
    assert conv.kernel_size == (height, width)
    assert equal(conv(x), linear(x.flatten(1))[:, :, None, None])


def test_on_a_larger_map_the_rewritten_layer_is_applied_at_every_position() -> None:
    linear = nn.Linear(2 * 3 * 3, 4)
    x = torch.randn(1, 2, 5, 6)
    found = linear_as_conv(linear, (2, 3, 3))(x)
    assert found.shape == (1, 4, 3, 4)
    assert equal(found[:, :, 1, 2], linear(x[:, :, 1:4, 2:5].flatten(1)))


def test_a_convolution_of_the_notation_with_an_even_kernel_and_same_padding_is_rewritten_too() -> None:
    network = build("conv 3 4x2 same | relu", (2, 5, 6), seed=0)
    conv = network.conv1
    assert isinstance(conv, SameConv2d)
    x = torch.randn(2, 2, 5, 6)
    assert equal(conv_as_linear(conv, (2, 5, 6))(x.flatten(1)), conv(x).flatten(1))


def test_lenet5_without_its_flatten_gives_the_logits_that_it_gave() -> None:
    network = build("lenet5", (1, 28, 28), 10, seed=0)
    layers = dict(network.named_children())
    x = torch.randn(2, 1, 28, 28, generator=randomly(0))
    expected = network(x)
    layers["flatten1"] = nn.Identity()
    layers["linear1"] = linear_as_conv(network.linear1, (16, 5, 5))
    for name in ("linear2", "linear3"):
        layers[name] = linear_as_conv(getattr(network, name), (getattr(network, name).in_features, 1, 1))
    assert equal(nn.Sequential(*layers.values())(x).flatten(1), expected)


def test_the_courses_layer_has_760_parameters_and_as_a_linear_layer_31_million() -> None:
    conv = nn.Conv2d(3, 10, 5, padding=2)
    linear = conv_as_linear(conv, (3, 32, 32))
    assert sum(parameter.numel() for parameter in conv.parameters()) == 760
    assert sum(parameter.numel() for parameter in linear.parameters()) == 31_467_520
    x = torch.randn(1, 3, 32, 32, generator=randomly(0))
    assert equal(linear(x.flatten(1)), conv(x).flatten(1))


def test_type_and_values_are_kept_nothing_is_shared_and_no_random_number_is_drawn() -> None:
    conv, linear = nn.Conv2d(2, 3, 3, padding=1).double(), nn.Linear(8, 3).to(torch.bfloat16)
    before = torch.get_rng_state()
    rewritten, back = conv_as_linear(conv, (2, 4, 4)), linear_as_conv(linear, (2, 2, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert rewritten.weight.dtype == rewritten.bias.dtype == torch.float64
    assert back.weight.dtype == back.bias.dtype == torch.bfloat16
    with torch.no_grad():
        rewritten.weight.zero_(), back.weight.zero_(), rewritten.bias.zero_(), back.bias.zero_()
    assert all(bool(parameter.any()) for parameter in (conv.weight, conv.bias, linear.weight, linear.bias))
    assert all(parameter.requires_grad for parameter in (*rewritten.parameters(), *back.parameters()))


@pytest.mark.parametrize(
    ("conv", "shape", "message"),
    [
        (
            nn.Conv2d(3, 64, 7, padding=3),
            (3, 224, 224),
            r"3,211,264 outputs x 150,528 inputs = 483,385,147,392 weights \(1,933.5 GB\); at most 100,000,000",
        ),
        (nn.Conv2d(3, 4, 3), (1, 8, 8), "takes 3 channels, but the map is 1x8x8"),
        (nn.Conv2d(3, 4, 5), (3, 4, 8), "the kernel 5x5 fits nowhere on the map 3x4x8"),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), (3, 8, 8), "padding_mode 'reflect'"),
        (nn.Conv2d(3, 4, 3), (3, 8), r"three sizes \(channels, height, width\) of at least 1, not \(3, 8\)"),
        (nn.Conv2d(3, 4, 3), (3, 0, 8), r"of at least 1, not \(3, 0, 8\)"),
    ],
)
def test_what_cannot_be_rewritten_is_refused(conv: nn.Conv2d, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        conv_as_linear(conv, shape)


def test_larger_matrices_are_made_when_asked_for_and_smaller_ones_refused_too() -> None:
    conv = nn.Conv2d(1, 1, 3)
    with pytest.raises(ModelError, match="36 outputs x 64 inputs = 2,304 weights"):
        conv_as_linear(conv, (1, 8, 8), most_weights=2_303)
    assert conv_as_linear(conv, (1, 8, 8), most_weights=2_304).weight.shape == (36, 64)


def test_a_pattern_of_far_too_many_connections_is_refused() -> None:
    with pytest.raises(ModelError, match="9,538,256,896 connections; at most 100,000,000 are listed"):
        conv_pattern(nn.Conv2d(64, 64, 7), (64, 224, 224))


def test_a_map_whose_values_are_not_the_inputs_is_refused() -> None:
    with pytest.raises(ModelError, match="a map 16x5x4 has 320 values, but the linear layer takes 400"):
        linear_as_conv(nn.Linear(400, 120), (16, 5, 4))


def test_a_linear_layer_whose_weight_is_a_transposed_one_is_rewritten_too() -> None:
    linear = nn.Linear(12, 5)
    linear.weight = nn.Parameter(torch.randn(12, 5).t())
    x = torch.randn(2, 3, 2, 2)
    torch.testing.assert_close(linear_as_conv(linear, (3, 2, 2))(x).flatten(1), linear(x.flatten(1)))


@pytest.mark.parametrize("layer", [nn.ConvTranspose2d(3, 4, 3), nn.Linear(3, 4)], ids=str)
def test_another_kind_of_layer_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ModelError, match=f"expected a convolution, nn.Conv2d, got {type(layer).__name__}"):
        conv_as_linear(layer, (3, 8, 8))  # type: ignore[arg-type]
