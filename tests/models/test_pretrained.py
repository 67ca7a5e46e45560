"""Weights that were trained before, loaded into all but the head: from files of every kind, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from neocog.errors import RunError, WeightsError
from neocog.models import build
from neocog.models.pretrained import load_pretrained

SMALL = "conv 2 3x3 same | batchnorm | relu | conv 4 3x3 same | relu | globalavgpool | linear classes"
FLAT = "conv 2 3x3 same | relu | flatten | linear 8 | relu | linear classes"
SHAPE = (3, 32, 32)


class Own(nn.Module):
    """A network in a user's own code, whose forward pass is its own affair."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.conv(x).mean((2, 3)))
        return logits


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a resnet18 that was trained for seven classes."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(build("resnet18", SHAPE, 7, seed=1).state_dict(), path)
    return path


def of(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = torch.load(path, weights_only=True)
    return tensors


def assert_all_but(network: nn.Module, head: str, tensors: dict[str, Tensor]) -> None:
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, tensors[name]) != name.startswith(head), name


@pytest.mark.parametrize("kind", ["pth", "safetensors", "parallel", "compiled", "checkpoint"])
def test_a_file_of_any_kind_gives_all_but_the_head(kind: str, resnet: Path, tmp_path: Path) -> None:
    tensors, path = of(resnet), tmp_path / "가중치"
    if kind == "safetensors":
        save_file(tensors, path.with_suffix(".safetensors"))
        path = path.with_suffix(".safetensors")
    else:
        prefix = {"parallel": "module.", "compiled": "_orig_mod."}.get(kind, "")
        state = {prefix + name: tensor for name, tensor in tensors.items()}
        path = path.with_suffix(".pth")
        torch.save({"epoch": 3, "state_dict": state} if kind == "checkpoint" else state, path)
    network = build("resnet18", SHAPE, 2, seed=0)
    load_pretrained(network, "resnet18", str(path))
    own_head = build("resnet18", SHAPE, 2, seed=0).get_submodule("fc").state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, own_head[name[3:]] if name.startswith("fc.") else tensors[name]), name


def test_a_head_with_as_many_classes_is_not_taken_either(resnet: Path) -> None:
    network = build("resnet18", SHAPE, 7, seed=0)
    load_pretrained(network, "resnet18", str(resnet))
    assert_all_but(network, "fc.", of(resnet))


def test_gray_images_take_the_sum_over_the_colours(resnet: Path) -> None:
    network = build("resnet18", (1, 32, 32), 2)
    load_pretrained(network, "resnet18", str(resnet))
    expected = of(resnet)["conv1.weight"].sum(1, keepdim=True)
    assert torch.equal(network.get_parameter("conv1.weight"), expected)


def test_a_network_that_is_cut_takes_the_layers_that_it_has(resnet: Path) -> None:
    network = build("resnet18[:layer2.0]", SHAPE, 2, seed=0)
    load_pretrained(network, "resnet18[:layer2.0]", str(resnet))
    assert_all_but(network, "head.", of(resnet) | {"head.weight": torch.zeros(1), "head.bias": torch.zeros(1)})


def test_a_network_in_own_code_keeps_its_last_linear_layer(tmp_path: Path) -> None:
    trained, network = Own(5), Own(2)
    torch.save(trained.state_dict(), tmp_path / "own.pth")
    head = network.fc.weight.clone()
    load_pretrained(network, "mypackage.nets:Own", str(tmp_path / "own.pth"))
    assert torch.equal(network.conv.weight, trained.conv.weight) and torch.equal(network.fc.weight, head)


def refused(network: nn.Module, path: Path, name: str = "resnet18") -> str:
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_pretrained(network, name, str(path))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    return str(caught.value)


def test_the_file_of_a_larger_network_is_told_by_its_name(tmp_path: Path) -> None:
    torch.save(build("resnet34", SHAPE, 3).state_dict(), tmp_path / "r.pth")
    told = refused(build("resnet18", SHAPE, 2), tmp_path / "r.pth")
    assert "r.pth does not fit the network:" in told and "layer1.2.conv1.weight" in told
    assert "These are the tensors of resnet34: train that network (model.network = 'resnet34')" in told


def test_published_efficientnet_weights_are_known_by_their_own_names(tmp_path: Path) -> None:
    state = build("efficientnet-lite0", SHAPE, 3).state_dict()
    published = {f"_{name}".replace(".bn", "._bn").replace(".fc", "._fc"): tensor for name, tensor in state.items()}
    for part in ("expand_conv", "depthwise_conv", "project_conv"):
        published = {name.replace(f".{part}", f"._{part}"): tensor for name, tensor in published.items()}
    torch.save(published, tmp_path / "e.pth")
    told = refused(build("resnet18", SHAPE, 2), tmp_path / "e.pth")
    assert "No name is in both" in told and "These are the tensors of efficientnet-lite0" in told
    network = build("efficientnet-lite0", SHAPE, 2)
    load_pretrained(network, "efficientnet-lite0", str(tmp_path / "e.pth"))
    assert_all_but(network, "fc.", state)


@pytest.mark.parametrize(
    ("trained", "size", "network", "shape", "reason"),
    [
        (SMALL, 32, SMALL.replace("conv 4", "conv 8"), SHAPE, "same names but other sizes. Train the network that"),
        (FLAT, 16, FLAT, SHAPE, "images of another size. Train at that size (data.image_size)"),
        (SMALL, 32, FLAT, SHAPE, "names are in the network: it is of another network"),
    ],
)
def test_what_does_not_fit_says_why(
    trained: str, size: int, network: str, shape: tuple[int, int, int], reason: str, tmp_path: Path
) -> None:
    torch.save(build(trained, (3, size, size), 3).state_dict(), tmp_path / "w.pth")
    told = refused(build(network, shape, 2), tmp_path / "w.pth", network)
    assert reason in told and "num_classes" not in told


def test_channels_that_cannot_be_turned_into_each_other_are_told(tmp_path: Path) -> None:
    state = build(SMALL, SHAPE, 2).state_dict()
    state["conv1.weight"] = torch.zeros(2, 4, 3, 3)
    torch.save(state, tmp_path / "w.pth")
    told = refused(build(SMALL, SHAPE, 2), tmp_path / "w.pth", SMALL)
    assert "made for images of 4 channels, the network for 3. Only 1 and 3 channels can be turned" in told


def test_a_file_of_neocog_says_what_network_it_is_of(tmp_path: Path) -> None:
    metadata = {"neocog": '{"network": "conv 9 3x3 | flatten\\n| linear classes"}'}
    save_file({"conv1.weight": torch.zeros(9, 3, 3, 3)}, tmp_path / "w.safetensors", metadata=metadata)
    told = refused(build(SMALL, SHAPE, 2), tmp_path / "w.safetensors", SMALL)
    assert told.endswith("It was written by neocog for the network: conv 9 3x3 | flatten | linear classes")


def test_what_is_no_weights_at_all_is_refused(tmp_path: Path) -> None:
    network = build(SMALL, SHAPE, 2)
    with pytest.raises(WeightsError, match=r"no weights 'imagenett'. Expected 'imagenet', a weights file"):
        load_pretrained(network, SMALL, "imagenett")
    with pytest.raises(WeightsError, match="there is no weights file"):
        load_pretrained(network, SMALL, str(tmp_path / "none.pth"))
    with pytest.raises(RunError, match="is not a run"):
        load_pretrained(network, SMALL, str(tmp_path))
    with pytest.raises(WeightsError, match="no weights trained on ImageNet are published for a network of your own"):
        load_pretrained(network, SMALL, "imagenet")
