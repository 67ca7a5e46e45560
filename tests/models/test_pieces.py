"""Where a network can be cut: its pieces in a row are the network, for each network with a name."""

from __future__ import annotations

import pytest
import torch
from tests.explain.worlds import named_network
from torch import Tensor, nn

from neocog.errors import ModelError
from neocog.models import build, catalogue
from neocog.models.pieces import Pieces, can_be_cut, frozen_start, head_start, pieces, place_of


class Own(nn.Module):
    """A network in a user's own code."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x + self.body(x))
        return logits


@torch.no_grad()
@pytest.mark.parametrize("name", catalogue.names())
def test_the_pieces_in_turn_are_the_network(name: str) -> None:
    network, image = named_network(name)
    network.eval()
    row, x = pieces(network), image[None]
    for _, module in row:
        x = module(x)
    torch.testing.assert_close(x, network(image[None]), rtol=1e-4, atol=1e-4)
    assert torch.equal(Pieces(row)(image[None]), x)
    names = [name for name, _ in row]
    assert len(set(names)) == len(names)
    assert all(network.get_submodule(name) is module for name, module in row)
    held = {id(parameter) for _, module in row for parameter in module.parameters()}
    assert held == {id(parameter) for parameter in network.parameters()}


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in catalogue.names() if name != "lenet5-1998"])
def test_the_head_is_the_last_linear_layer_with_the_dropout_before_it(name: str) -> None:
    network, image = named_network(name)
    row = pieces(network.eval())
    start = head_start(row)
    head = [module for _, module in row[start:]]
    assert isinstance(head[-1], nn.Linear) and all(isinstance(module, nn.Dropout) for module in head[:-1])
    features = Pieces(row[:start])(image[None])
    torch.testing.assert_close(Pieces(row[start:])(features), network(image[None]), rtol=1e-4, atol=1e-4)
    assert features.shape == (1, head[-1].in_features)


def test_a_network_without_a_linear_head_says_so() -> None:
    with pytest.raises(ModelError, match=r"last linear layer, but the last layer with weights is conv1"):
        head_start(pieces(build("conv 10 3x3 | globalavgpool", (1, 32, 32))))
    with pytest.raises(ModelError, match="is nothing"):
        head_start(pieces(nn.Sequential(nn.ReLU())))


def test_a_network_in_own_code_is_cut_only_where_its_order_is_known() -> None:
    assert not can_be_cut(Own())
    with pytest.raises(ModelError, match=r"Own cannot be cut.*nn\.Sequential of its parts"):
        pieces(Own())
    own = nn.Sequential(Own(), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    assert [name for name, _ in pieces(own)] == ["0", "1.0", "1.1"]


def test_a_place_is_found_by_its_name_and_a_wrong_name_is_told_the_right_ones() -> None:
    row = pieces(build("resnet18", (3, 32, 32), 2))
    assert row[place_of(row, "layer2.0")][0] == "layer2.0"
    with pytest.raises(ModelError, match=r"'layer9'.*It can be cut at: conv1, bn1, relu, maxpool, layer1\.0"):
        place_of(row, "layer9")
    with pytest.raises(ModelError, match=r"layer2\.0\.conv1 lies within layer2\.0, which cannot be cut in two"):
        place_of(row, "layer2.0.conv1")


def test_what_is_frozen_at_the_start_ends_at_the_first_weight_or_dropout() -> None:
    network = build("conv 2 3x3 | relu | dropout 0.1 | conv 2 3x3 | flatten | linear classes", (1, 8, 8), 2)
    row = pieces(network)
    assert frozen_start(row) == 0
    network.get_submodule("conv1").requires_grad_(False)
    assert row[frozen_start(row)][0] == "dropout1"
    network = build("resnet18", (3, 32, 32), 2).requires_grad_(False)
    assert frozen_start(pieces(network)) == len(pieces(network))
    network.get_submodule("layer3.1").requires_grad_(True)
    assert pieces(network)[frozen_start(pieces(network))][0] == "layer3.1"


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "layer", "features"),
    [("resnet18", "layer2.1", 128), ("efficientnet-lite0", "blocks.4", 40), ("vgg11", "features.9", 256)],
)
def test_a_cut_network_is_its_first_pieces_a_mean_and_a_head(name: str, layer: str, features: int) -> None:
    network, image = named_network(name)
    cut = build(f"{name}[:{layer}]", tuple(image.shape), 3, seed=0).eval()  # type: ignore[arg-type]
    whole = network.state_dict()
    cut.load_state_dict({key: whole.get(key, tensor) for key, tensor in cut.state_dict().items()})
    row = pieces(network.eval())
    maps = Pieces(row[: place_of(row, layer) + 1])(image[None])
    head = cut.get_submodule("head")
    assert isinstance(head, nn.Linear) and head.in_features == features
    torch.testing.assert_close(cut(image[None]), head(maps.mean((2, 3))), rtol=1e-4, atol=1e-4)
    assert set(cut.state_dict()) - set(whole) == {"head.weight", "head.bias"}


def test_statistics_that_no_weight_freezes_end_the_frozen_start() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, affine=False), nn.Flatten(), nn.Linear(8, 2))
    network[0].requires_grad_(False)
    assert frozen_start(pieces(network)) == 1
    network[1] = nn.BatchNorm2d(2).requires_grad_(False)
    assert frozen_start(pieces(network)) == 3
