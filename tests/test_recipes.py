"""The built-in recipes: each can be built, and the course's networks have the published numbers of parameters."""

from __future__ import annotations

import pytest

from neocog.recipe import Recipe, builtin_names
from neocog.summary import summarize

# Parameters: published (lenet5, fashion-*) or summed by hand from the layers that the course names.
PARAMETERS = {
    "week4": 320 + 18_496 + (3136 * 1024 + 1024) + (1024 * 128 + 128) + 1_290,
    "bootcamp-cnn": 320 + 18_496 + 31_370,
    "bootcamp-cnn2": 320 + 18_496 + 73_856 + (2048 * 625 + 625) + 6_260,
    "lenet5": 61_706,
    "fashion-scratch": 197_210,
    "fashion-keras": 197_210,
    "fashion-keras-dropout": 197_210,
}


@pytest.mark.parametrize("name", builtin_names())
def test_a_built_in_recipe_reads_back_and_describes_itself(name: str) -> None:
    recipe = Recipe.load(name)
    assert Recipe.from_text(recipe.text()) == recipe
    assert recipe.description and recipe.model.network


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_the_courses_networks_have_their_published_parameters(name: str, parameters: int) -> None:
    recipe = Recipe.load(name)
    assert summarize(recipe.model.network, (1, 28, 28), 10).parameters == parameters
    assert recipe.train.precision == "float32"


def test_recipes_that_validate_on_the_test_set_are_those_whose_sources_do() -> None:
    on_test = {name for name in builtin_names() if Recipe.load(name).data.validation == "test"}
    assert on_test == {"week4", "bootcamp-cnn", "bootcamp-cnn2", "bootcamp-cnn-stride", "lenet5"}
