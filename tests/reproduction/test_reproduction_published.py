"""What the sources claim: about recipes that exist, in figures that exist, and true where arithmetic can tell."""

from __future__ import annotations

import pytest

from neocog.errors import RecipeError
from neocog.recipe import Recipe, builtin_names
from neocog.reproduction.figures import FIGURES
from neocog.reproduction.published import PUBLISHED, check_names, reproducible
from neocog.summary import summarize

COUNTED = {
    name: claim.number
    for name, entry in PUBLISHED.items()
    for claim in entry.claims
    if claim.figure == "parameters" and claim.number is not None and claim.better == "equal"
}


def test_every_claim_is_about_a_built_in_recipe() -> None:
    assert set(PUBLISHED) <= set(builtin_names())
    assert reproducible() == list(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_claims_are_in_figures_that_a_run_has(name: str) -> None:
    claims = PUBLISHED[name].claims
    assert claims and len({claim.figure for claim in claims}) == len(claims)
    for claim in claims:
        unit = FIGURES[claim.figure].unit
        assert claim.number is None or unit != "percent" or 0 < claim.number < 1
        assert claim.relation != "fewer than" or unit == "count"


@pytest.mark.parametrize("name", [name for name in reproducible() if name in COUNTED])
def test_the_published_numbers_of_parameters_are_those_of_the_recipes(name: str) -> None:
    recipe = Recipe.load(name)
    size = recipe.data.image_size or (28, 28)
    assert summarize(recipe.model.network, (1, *size), 10).trainable == COUNTED[name]


def test_bootcamp_cnn2_is_validated_with_dropout_active_and_fashion_keras_dropout_keeps_the_last_weights() -> None:
    assert Recipe.load("bootcamp-cnn2").train.validation_dropout
    assert Recipe.load("fashion-keras-dropout").train.keep == "last"


def test_names_come_once_in_the_order_of_the_tables() -> None:
    assert check_names(["b", "a", "b"], ["a", "b", "c"]) == ["a", "b"]


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match=r"'lenet' is not among .* Did you mean 'lenet5'\? They are: week4, .*mlp"):
        check_names(["mlp", "lenet"], ["week4", "lenet5", "mlp"])
