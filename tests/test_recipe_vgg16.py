"""The recipe of VGG16 fits its network: what is frozen in each stage, and what is trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neocog.errors import RecipeError
from neocog.models import build
from neocog.models.published import preprocessing
from neocog.recipe import Recipe
from neocog.training.stage_work import check_solvable
from neocog.training.state import check_stages, freeze

HEAD = ["classifier.6.weight", "classifier.6.bias"]


@pytest.fixture
def network() -> nn.Module:
    with torch.device("meta"):
        return build("vgg16", (3, 224, 224), 2)


def trained(network: nn.Module, patterns: tuple[str, ...]) -> list[str]:
    freeze(network, patterns)
    return [name for name, parameter in network.named_parameters() if parameter.requires_grad]


def test_the_stages_are_feature_extraction_then_fine_tuning_of_the_last_block(network: nn.Module) -> None:
    recipe = Recipe.load("vgg16")
    head, block = recipe.stages()
    check_stages(network, recipe.stages())
    check_solvable(network, recipe.stages())
    assert trained(network, head.freeze) == HEAD
    last_block = [f"features.{place}.{kind}" for place in (24, 26, 28) for kind in ("weight", "bias")]
    linear = [f"classifier.{place}.{kind}" for place in (0, 3, 6) for kind in ("weight", "bias")]
    assert trained(network, block.freeze) == [*last_block, *linear]
    assert block.train.lr < 1e-2 and block.train.layer_lr_decay < 1
    assert not head.augment and block.augment and recipe.augment.active


def test_the_images_are_those_of_the_weights() -> None:
    recipe = Recipe.load("vgg16")
    assert recipe.model.pretrained == "imagenet"
    assert recipe.data.image_size == preprocessing("vgg16").image_size
    # left out, so that they are those that the weights were trained with
    assert recipe.data.mean is None and recipe.data.std is None


def test_what_logistic_regression_needs_frozen_is_named_without_the_head(network: nn.Module) -> None:
    recipe = Recipe.load("vgg16")
    stages = [stage._replace(freeze=("features",)) for stage in recipe.stages()[:1]]
    named = r'classifier\.0 is not frozen.*\["features", "classifier\.0", "classifier\.3"\]'
    with pytest.raises(RecipeError, match=named):
        check_solvable(network, stages)
