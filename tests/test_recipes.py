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
    "lenet5-1998": 156 + 12 + 1_516 + 32 + 48_120 + 10_164,
    "lenet5-1998-distorted": 60_000,
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
    shape = (1, *(recipe.data.image_size or (28, 28)))
    assert summarize(recipe.model.network, shape, 10).parameters == parameters
    assert recipe.train.precision == "float32"


def test_recipes_that_validate_on_the_test_set_are_those_whose_sources_do() -> None:
    on_test = {name for name in builtin_names() if Recipe.load(name).data.validation == "test"}
    chosen_by_it = {"week4", "bootcamp-cnn", "bootcamp-cnn2", "bootcamp-cnn-stride", "lenet5"}
    assert on_test == chosen_by_it | {"lenet5-1998", "lenet5-1998-distorted"}
    kept_last = {name for name in builtin_names() if Recipe.load(name).train.keep == "last"}
    assert kept_last == {"lenet5-1998", "lenet5-1998-distorted", "fashion-keras-dropout", "fine-tune"}


def test_the_images_of_the_original_lenet5_are_scaled_as_in_the_paper() -> None:
    data = Recipe.load("lenet5-1998").data
    assert isinstance(data.mean, list) and isinstance(data.std, list)
    black, white = ((pixel - data.mean[0]) / data.std[0] for pixel in (0, 1))
    assert (black, white) == pytest.approx((-0.1, 1.175))


def test_the_distorted_recipe_differs_in_the_distortions_alone() -> None:
    plain, distorted = Recipe.load("lenet5-1998"), Recipe.load("lenet5-1998-distorted")
    assert distorted.augment.active and not plain.augment.active
    same = {"description", "augment"}
    assert plain.model_dump(exclude=same) == distorted.model_dump(exclude=same)


def test_mnist_tiny_has_fewer_than_8000_parameters() -> None:
    assert summarize(Recipe.load("mnist-tiny").model.network, (1, 28, 28), 10).parameters < 8000
