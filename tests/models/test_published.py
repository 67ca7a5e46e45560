"""The named torch networks against the published layouts, parameter totals and costs."""

import pytest
import torch
from torch import nn

from neocog.errors import ModelError
from neocog.models import build, catalogue
from neocog.summary import summarize

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
NAMES = [entry.name for entry in catalogue.entries() if entry.notation is None]
TOTALS = {
    "efficientnet-lite0": 4_652_008,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11-bn": 132_868_840,
    "vgg13-bn": 133_053_736,
    "vgg16-bn": 138_365_992,
    "vgg19-bn": 143_678_248,
}
# Multiply-accumulates of one 224x224 image in billions, as published with the weights.
GIGA_MACS = {
    "efficientnet-lite0": 0.39,
    "resnet18": 1.81,
    "resnet34": 3.66,
    "resnet50": 4.09,
    "vgg11": 7.61,
    "vgg13": 11.31,
    "vgg16": 15.47,
    "vgg19": 19.63,
}


def on_meta(name: str, channels: int = 3, classes: int = 1000) -> nn.Module:
    with torch.device("meta"):
        return build(name, (channels, 224, 224), classes)


def resnet_keys(depths: tuple[int, ...], convolutions: int) -> set[str]:
    keys = {"conv1.weight", "fc.weight", "fc.bias"} | {f"bn1.{key}" for key in NORM}
    for layer, depth in enumerate(depths, start=1):
        for block in range(depth):
            place = f"layer{layer}.{block}"
            for number in range(1, convolutions + 1):
                keys.add(f"{place}.conv{number}.weight")
                keys |= {f"{place}.bn{number}.{key}" for key in NORM}
            if block == 0 and (layer > 1 or convolutions == 3):
                keys.add(f"{place}.downsample.0.weight")
                keys |= {f"{place}.downsample.1.{key}" for key in NORM}
    return keys


def vgg_keys(convolutions: tuple[int, ...], batch_norm: bool) -> set[str]:
    keys = {f"classifier.{place}.{key}" for place in (0, 3, 6) for key in ("weight", "bias")}
    for place in convolutions:
        keys |= {f"features.{place}.weight", f"features.{place}.bias"}
        if batch_norm:
            keys |= {f"features.{place + 1}.{key}" for key in NORM}
    return keys


@pytest.mark.parametrize("name", NAMES)
def test_parameter_totals_are_the_published_ones(name: str) -> None:
    total = sum(parameter.numel() for parameter in on_meta(name).parameters())
    assert total == TOTALS[name] == catalogue.find(name).parameters


@pytest.mark.parametrize("name", GIGA_MACS)
def test_costs_are_the_published_ones(name: str) -> None:
    assert round(summarize(name, (3, 224, 224)).macs / 1e9, 2) == GIGA_MACS[name]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("resnet18", resnet_keys((2, 2, 2, 2), 2)),
        ("resnet34", resnet_keys((3, 4, 6, 3), 2)),
        ("resnet50", resnet_keys((3, 4, 6, 3), 3)),
        ("vgg11", vgg_keys((0, 3, 6, 8, 11, 13, 16, 18), False)),
        ("vgg11-bn", vgg_keys((0, 4, 8, 11, 15, 18, 22, 25), True)),
        ("vgg16", vgg_keys((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), False)),
        ("vgg16-bn", vgg_keys((0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40), True)),
        ("vgg19", vgg_keys((0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34), False)),
    ],
)
def test_state_dict_keys_are_those_of_the_published_weights(name: str, keys: set[str]) -> None:
    assert set(on_meta(name).state_dict()) == keys


def test_shapes_of_some_published_tensors() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in on_meta("resnet50").state_dict().items()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer3.5.conv2.weight"] == (256, 256, 3, 3)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["fc.weight"] == (1000, 2048)
    shapes = {name: tuple(tensor.shape) for name, tensor in on_meta("vgg16").state_dict().items()}
    assert shapes["features.28.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088)


def test_the_bottleneck_takes_its_stride_in_the_3x3_convolution() -> None:
    block = on_meta("resnet50").get_submodule("layer2.0")
    strides = [block.get_submodule(f"conv{number}").stride for number in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 7)])
def test_channels_and_classes_adapt(name: str, channels: int, classes: int) -> None:
    network = on_meta(name, channels, classes).eval()
    images = torch.empty(2, channels, 96, 64, device="meta")
    assert network(images).shape == (2, classes)


def test_a_residual_block_adds_its_shortcut() -> None:
    network = build("resnet18", (3, 32, 32), 10, seed=0).eval()
    block = network.get_submodule("layer2.0")
    x = torch.randn(2, 64, 8, 8)
    conv1, bn1, conv2, bn2 = (block.get_submodule(name) for name in ("conv1", "bn1", "conv2", "bn2"))
    body = bn2(conv2(torch.relu(bn1(conv1(x)))))
    assert torch.allclose(block(x), torch.relu(body + block.get_submodule("downsample")(x)), atol=1e-6)


def test_a_vgg_refuses_images_that_its_poolings_would_use_up() -> None:
    with pytest.raises(ModelError, match="vgg11 needs images of at least 32x32 pixels, not 28x28"):
        build("vgg11", (1, 28, 28), 10)
    with torch.device("meta"):
        assert build("vgg11", (1, 32, 32), 10)(torch.empty(1, 1, 32, 32)).shape == (1, 10)
