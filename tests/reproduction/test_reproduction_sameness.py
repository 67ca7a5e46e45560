"""Which runs are those of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neocog.recipe import Recipe, builtin_names
from neocog.reproduction.sameness import differences

RESOLVED: dict[str, Any] = {"train.device": "cuda:1", "train.threads": 7, "train.memory_format": "channels_last"}


@pytest.mark.parametrize("name", builtin_names())
def test_a_run_on_any_machine_is_of_its_recipe(name: str) -> None:
    recipe = Recipe.load(name)
    effective = recipe.with_values(RESOLVED | {"data.image_size": recipe.data.image_size or (28, 28)})
    effective = effective.with_values({"data.channels": 1, "train.checkpoint_seconds": 3.0, "data.cache": "memory"})
    assert differences(recipe, Recipe.from_text(effective.text())) == []


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("train.epochs", 3, "train.epochs = 3 there, 20 in the recipe"),
        ("train.seed", 1, "train.seed = 1 there, 0 in the recipe"),
        ("train.precision", "bfloat16", "train.precision = 'bfloat16' there, 'float32' in the recipe"),
        ("train.clip_norm", 1.0, "train.clip_norm = 1.0 there, nothing in the recipe"),
        ("data.mean", [0.5], "data.mean = [0.5] there, [0.0] in the recipe"),
        ("data.source", "fashion-mnist", "data.source = 'fashion-mnist' there, 'mnist' in the recipe"),
        ("model.network", "mlp", "model.network = 'mlp' there, 'lenet5' in the recipe"),
        ("augment.rotate", 5.0, "augment.rotate = 5.0 there, 0.0 in the recipe"),
    ],
)
def test_what_differs_is_named(key: str, value: Any, shown: str) -> None:
    recipe = Recipe.load("lenet5")
    assert differences(recipe, recipe.with_values({key: value})) == [shown]


def test_what_the_recipe_leaves_open_may_be_anything() -> None:
    recipe = Recipe.load("lenet5").with_values({"train.precision": "auto", "data.mean": "auto", "data.std": "auto"})
    effective = recipe.with_values({"train.precision": "bfloat16", "data.mean": [0.1], "data.std": [0.3]})
    assert differences(recipe, effective) == []


def test_a_run_from_before_a_key_existed_has_its_default() -> None:
    recipe = Recipe.load("lenet5")
    older = "".join(line for line in recipe.text().splitlines(True) if not line.startswith(("keep", "clip", "ema")))
    assert differences(recipe, Recipe.from_text(older)) == []


def test_stages_and_descriptions(tmp_path: Path) -> None:
    recipe = Recipe.load("lenet5")
    other = Recipe.from_text('description = "other"\n' + recipe.text().partition("\n")[2])
    assert other != recipe and differences(recipe, other) == []
    staged = Recipe.from_text(recipe.text() + '\n[[stage]]\nname = "head"\n')
    assert differences(recipe, staged)[0].startswith("stage = [{'name': 'head'")


def test_the_path_of_a_folder_is_absolute_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    recipe = Recipe.load("lenet5").with_values({"data.source": "photos"})
    assert differences(recipe, recipe.with_values({"data.source": str(tmp_path / "photos")})) == []
