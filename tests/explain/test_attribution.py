"""Grad-CAM, occlusion and integrated gradients against their definitions, for networks of every kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.explain.worlds import named_network, randomise
from torch import Tensor, nn

import neocog as nc
from neocog.errors import DataError, ModelError
from neocog.explain.attribution import (
    METHODS,
    attribute,
    border_colour,
    grad_cam,
    grad_cam_layer,
    integrated_gradients,
    occlusion,
)
from neocog.explain.enlarging import centres, enlarged
from neocog.explain.forward import record
from neocog.models import ScaledNetwork, Scaling, catalogue

TEXT = "conv 4 3x3 same | relu | maxpool 2 | conv 6 3x3 same | relu | maxpool 2 | flatten | linear classes"


def pixels(count: int = 3, channels: int = 1, size: int = 12) -> Tensor:
    return 255 * torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(5))


def scaled(text: str = TEXT, channels: int = 1, size: int = 12) -> ScaledNetwork:
    network = randomise(nc.build(text, (channels, size, size), 5))
    return ScaledNetwork(Scaling([0.3], [0.4]), network).eval()


TARGETS = torch.tensor([1, 0, 4])


def test_grad_cam_is_its_definition() -> None:
    model, images = scaled(), pixels()
    maps: list[Tensor] = []
    handle = model.network.relu2.register_forward_hook(lambda module, inputs, output: maps.append(output))  # type: ignore[union-attr,operator]
    logits = model(images)
    handle.remove()
    [gradient] = torch.autograd.grad(logits[range(3), TARGETS].sum(), maps)
    weights = gradient.mean((2, 3), keepdim=True)
    expected = F.relu((weights * maps[0]).sum(1, keepdim=True))
    found = grad_cam(model, images, TARGETS)
    assert found.shape == (3, 12, 12) and found.dtype == torch.float32
    middles = centres(record(model, images[0]), "relu2")
    # Each unit of 6x6, two pixels apart, stands between its pixels 2i and 2i + 1.
    assert middles == ((0.5, 10.5), (0.5, 10.5))
    torch.testing.assert_close(found, enlarged(expected, (12, 12), middles)[:, 0], atol=1e-6, rtol=1e-4)
    assert float(found.min()) >= 0 < float(found.max())


def test_each_unit_of_a_map_is_laid_where_it_looks() -> None:
    model = scaled("conv 1 5x5 | relu | flatten | linear classes")
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, 0, 7] = 1
    # Without padding the unit in the upper right corner looks at rows 0 to 4 and columns 7 to 11.
    large = enlarged(maps, (12, 12), centres(record(model, pixels()[0]), "relu1"))[0, 0]
    assert large[2, 9] == 1
    assert bool((large[:3, 9:] == 1).all()) and not bool(large[4:].any()) and not bool(large[:, :8].any())


def test_a_map_as_large_as_the_image_stays() -> None:
    maps = torch.rand(2, 1, 6, 9)
    for middles in (None, ((0.0, 5.0), (0.0, 8.0))):
        torch.testing.assert_close(enlarged(maps, (6, 9), middles), maps)


def test_a_block_stands_where_its_last_layer_looks() -> None:
    text = "conv 4 3x3 stride 2 | residual(conv 4 3x3 same | relu; conv 4 1x1) | globalavgpool | linear classes"
    model = scaled(text, size=13)
    forward = record(model, pixels(size=13)[0])
    assert grad_cam_layer(model, pixels(size=13)) == "block1"
    assert centres(forward, "block1") == centres(forward, "block1.relu1") == ((1.0, 11.0), (1.0, 11.0))


def test_maps_of_a_layer_exchanged_later_are_stretched_over_the_image() -> None:
    model = scaled("conv 1 5x5 | relu | flatten | linear classes")
    model.network.conv1 = nn.Conv2d(1, 1, 7, padding=1)  # type: ignore[union-attr]
    assert centres(record(model, pixels()[0]), "relu1") is None


def test_occlusion_is_the_fall_of_the_logit() -> None:
    model, images = scaled(), pixels()
    found = occlusion(model, images, TARGETS, window=4, stride=4)
    with torch.no_grad():
        for number, target in enumerate(TARGETS.tolist()):
            for top, left in ((0, 0), (4, 8), (8, 4)):
                covered = images[number : number + 1].clone()
                covered[..., top : top + 4, left : left + 4] = border_colour(covered)
                fall = model(images[number : number + 1])[0, target] - model(covered)[0, target]
                assert found[number, top : top + 4, left : left + 4].numpy() == pytest.approx(float(fall), abs=1e-4)


def test_integrated_gradients_of_a_linear_network_are_weight_times_difference() -> None:
    model = ScaledNetwork(Scaling(), randomise(nc.build("flatten | linear classes", (3, 4, 4), 5)))
    images = pixels(3, 3, 4)
    weights = model.network.linear1.weight.view(5, 3, 4, 4)[TARGETS] / 255  # type: ignore[union-attr,operator]
    expected = (weights * (images - border_colour(images))).sum(1).detach()
    torch.testing.assert_close(integrated_gradients(model, images, TARGETS), expected, atol=1e-5, rtol=1e-4)


def test_integrated_gradients_add_up_to_the_difference_of_the_logits() -> None:
    model, images = scaled("conv 4 3x3 same | tanh | flatten | linear classes"), pixels()
    plain = torch.zeros(1, 1, 1, 1)
    found = integrated_gradients(model, images, TARGETS, steps=64, baseline=plain).sum((1, 2))
    with torch.no_grad():
        logits = model(images) - model(torch.zeros_like(images))
    torch.testing.assert_close(found, logits[range(3), TARGETS], atol=1e-3, rtol=1e-3)


def test_the_border_of_an_image_says_what_is_nothing() -> None:
    images = torch.full((2, 1, 6, 6), 250.0)
    images[:, :, 1:5, 1:5] = 10
    images[1] = 255 - images[1]
    assert border_colour(images).flatten().tolist() == [250, 5]


class InPlace(nn.Module):
    """A network of the user's own: relu in place and as a function, and no child called by any known name."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.relu, self.last = nn.ReLU(inplace=inplace), nn.Linear(6, 5)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(self.relu(x)))
        x = self.second(x)
        x = F.relu_(x) if self.inplace else F.relu(x)
        out: Tensor = self.last(x.mean((2, 3)))
        return out


@pytest.mark.parametrize("method", METHODS)
def test_relu_in_place_changes_nothing(method: str) -> None:
    found = [attribute(method, randomise(InPlace(inplace)), pixels() - 100, TARGETS) for inplace in (False, True)]  # type: ignore[arg-type]
    assert float(found[0].abs().max()) > 0
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_frozen_weights_and_contexts_change_nothing(method: str, around: Callable[[], torch.no_grad]) -> None:
    model, images = scaled(), pixels()
    expected = attribute(method, model, images, TARGETS)  # type: ignore[arg-type]
    frozen = scaled()
    frozen.requires_grad_(False)
    with around():
        inside = images.clone()
        torch.testing.assert_close(attribute(method, frozen, inside, TARGETS), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_fused_blocks_and_uint8_change_nothing(method: str) -> None:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 36, 5)]
    plain = randomise(nn.Sequential(*layers))
    images = pixels(3, 3).to(torch.uint8)
    expected = attribute(method, plain, images.float(), TARGETS)  # type: ignore[arg-type]
    fused = nc.fuse(plain)
    torch.testing.assert_close(attribute(method, fused, images, TARGETS), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(method: str) -> None:
    model, images = scaled("conv 4 3x3 same | batchnorm | relu | dropout 0.5 | flatten | linear classes"), pixels()
    model.train()
    model.network.dropout1.eval()  # type: ignore[union-attr,operator]
    flags = [module.training for module in model.modules()]
    before, given = {name: tensor.clone() for name, tensor in model.state_dict().items()}, images.clone()
    attribute(method, model, images, TARGETS)  # type: ignore[arg-type]
    assert [module.training for module in model.modules()] == flags
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())
    assert torch.equal(images, given) and not images.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_many_images_give_what_each_gives(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.explain.attribution._PIXELS_A_PASS", 2 * 144)
    model, images = scaled(), pixels()
    together = attribute(method, model, images, TARGETS)  # type: ignore[arg-type]
    alone = [attribute(method, model, images[i : i + 1], TARGETS[i : i + 1])[0] for i in range(3)]  # type: ignore[arg-type]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-4)
    assert attribute(method, model, images[:0], TARGETS[:0]).shape == (0, 12, 12)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("lenet5", 28, "relu2"),
        ("lenet5-1998", 32, "scaledtanh3"),
        ("small-cnn", 32, "relu4"),
        ("bootcamp-cnn2", 28, "relu3"),
        ("resnet18", 128, "layer4"),
        ("resnet18", 64, "layer3"),
        ("vgg11", 64, "features.19"),
        ("efficientnet-lite0", 128, "relu6_head"),
    ],
)
def test_the_layer_taken_has_features_and_places(name: str, size: int, layer: str) -> None:
    entry = catalogue.find(name)
    network = named_network(name)[0] if entry.notation is None else nc.build(name, (1, size, size), 10)
    channels = 3 if entry.notation is None else 1
    assert grad_cam_layer(network, torch.zeros(1, channels, size, size)) == layer


def test_a_block_that_gives_several_tensors_is_not_taken() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, padding=1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.conv(x), x

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair, self.last = Pair(), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(self.pair(x)[0].mean((2, 3)))
            return out

    model = randomise(Whole())
    assert grad_cam_layer(model, pixels()) == "pair.conv"
    assert grad_cam(model, pixels(), TARGETS).shape == (3, 12, 12)
    with pytest.raises(ModelError, match="pair gives none"):
        grad_cam(model, pixels(), TARGETS, "pair")


def test_what_does_not_fit_is_refused() -> None:
    model, images = scaled(), pixels()
    with pytest.raises(ModelError, match=r"no layer is called 'relu9'\. Did you mean relu"):
        grad_cam(model, images, TARGETS, "relu9")
    with pytest.raises(ModelError, match="Grad-CAM needs a layer that gives maps CxHxW; linear1 gives none"):
        grad_cam(model, images, TARGETS, "linear1")
    with pytest.raises(ModelError, match=r"needs a convolution .* work for any network"):
        grad_cam(scaled("flatten | linear classes"), images, TARGETS)
    for method in METHODS:
        with pytest.raises(ModelError, match="ScaledNetwork cannot take an image of 1x7x7"):
            attribute(method, model, images[..., :7, :7], TARGETS)
    with pytest.raises(DataError, match="gives 5 logits: expected targets from 0 to 4, not"):
        grad_cam(model, images, TARGETS + 1)
    with pytest.raises(DataError, match=r"a target class for each of 3 images, int64 \(3,\)"):
        occlusion(model, images, TARGETS[:2])
    with pytest.raises(DataError, match="a batch of images"):
        integrated_gradients(model, images[0], TARGETS[:1])
    with pytest.raises(DataError, match="expected at least one pixel"):
        occlusion(model, images, TARGETS, window=0)
    with pytest.raises(ModelError, match="no method is called 'lime'; there are gradcam, occlusion"):
        attribute("lime", model, images, TARGETS)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"gives logits \(N, classes\); got \(3, 4, 12, 12\)"):
        occlusion(model.network.conv1, images, TARGETS)  # type: ignore[arg-type,union-attr]


def test_it_finds_the_place_that_the_answer_hangs_on() -> None:
    # One kernel that looks for a bright spot, one class that counts it: all three point there.
    network = nc.build("conv 1 3x3 same nobias | relu | flatten | linear classes", (1, 12, 12), 2)
    with torch.no_grad():
        network.conv1.weight.copy_(torch.tensor([[[[0, 1, 0], [1, 1, 1], [0, 1, 0]]]]) / 5)
        network.linear1.weight[:] = torch.tensor([[1.0], [-1.0]])
    image = torch.zeros(1, 1, 12, 12)
    image[0, 0, 3, 8] = 255
    for method in METHODS:
        found = attribute(method, network, image, torch.tensor([0]))[0]
        row, column = np.unravel_index(int(found.argmax()), (12, 12))
        assert abs(int(row) - 3) <= 1 and abs(int(column) - 8) <= 1, method
        against = attribute(method, network, image, torch.tensor([1]))[0]
        assert float(against.max()) <= 1e-6, method
