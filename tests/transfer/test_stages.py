"""The stages of transfer learning fit every network that can be cut."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neocog.models import build
from neocog.models.catalogue import entries
from neocog.models.pieces import head_start, pieces
from neocog.recipe import Recipe
from neocog.training.stage_work import check_solvable
from neocog.training.state import check_stages, freeze
from neocog.transfer.stages import all_layer_stages, extraction_stages, last_block_stages

CUTTABLE = [entry for entry in entries() if entry.name != "lenet5-1998"]


def network_of(name: str) -> nn.Module:
    entry = next(entry for entry in entries() if entry.name == name)
    with torch.device("meta"):
        return build(name, entry.input_shape, 3)


def trained(network: nn.Module, frozen: list[str]) -> list[str]:
    freeze(network, frozen)
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    freeze(network, ())
    return names


@pytest.mark.parametrize("name", [entry.name for entry in CUTTABLE])
def test_extraction_leaves_the_head_alone_to_train(name: str) -> None:
    network = network_of(name)
    row = pieces(network)
    (stage,) = extraction_stages(network)
    head = row[-1][0] if isinstance(row[-1][1], nn.Linear) else row[head_start(row)][0]
    assert {each.rpartition(".")[0] for each in trained(network, stage.freeze)} == {head}
    check_solvable(network, Recipe(stage=[stage]).stages())


@pytest.mark.parametrize("name", [entry.name for entry in CUTTABLE if entry.name not in ("mlp", "fashion-cnn")])
def test_each_stage_of_fine_tuning_trains_what_the_one_before_did_and_more(name: str) -> None:
    network = network_of(name)
    stages = all_layer_stages(network)
    check_stages(network, Recipe(stage=stages).stages())
    head, last, every = (set(trained(network, stage.freeze)) for stage in stages)
    assert head <= last <= every == {each for each, _ in network.named_parameters()}
    if len(pieces(network)) > 8:
        assert head < last < every


def test_the_last_blocks_of_the_usual_networks_are_their_last_quarter() -> None:
    found = {
        name: {each.rpartition(".")[0] for each in trained(network, last_block_stages(network)[1].freeze)}
        for name in ("efficientnet-lite0", "resnet18")
        for network in [network_of(name)]
    }
    blocks = {name.split(".")[1] for name in found["efficientnet-lite0"] if name.startswith("blocks.")}
    assert blocks == {"13", "14", "15"} and {"conv_head", "bn1", "fc"} <= found["efficientnet-lite0"]
    assert {name.partition(".")[0] for name in found["resnet18"]} == {"layer4", "fc"}


def test_the_first_stage_and_the_last_blocks_see_the_images_unchanged() -> None:
    network = network_of("resnet18")
    assert [stage.augment for stage in all_layer_stages(network)] == [False, False, True]
