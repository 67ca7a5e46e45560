"""The labelled images that a classifier may be judged by or calibrated on: its weights were not fitted to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neocog.data import DataSet, Geometry, ImageSet, Skipped, load_images
from neocog.data import load as load_data
from neocog.data.registry import find
from neocog.errors import DataError
from neocog.metadata import Metadata
from neocog.recipe import Recipe


def recipe_of(metadata: Metadata) -> Recipe:
    """Give the recipe that the weights were trained by."""
    return Recipe.from_text(metadata.recipe, source="the recipe in the weights")


def is_own(recipe: Recipe, source: str | Path | None) -> bool:
    """Whether `source` is what a recipe trains on; None stands for that too."""
    if source is None:
        return True
    # A name means the data set of that name, in capitals or not, even where a folder is called the same.
    known = find(str(source))
    if known is not None:
        return find(recipe.data.source) == known
    return recipe.data.source in (str(source), str(Path(source).resolve()))


def images_to_evaluate(
    metadata: Metadata,
    geometry: Geometry,
    source: str | Path | None = None,
    *,
    on_skip: Callable[[Skipped], None] | None = None,
) -> tuple[ImageSet, str]:
    """Do what `Classifier.images_to_evaluate` describes."""
    recipe = recipe_of(metadata)
    if source is None and not recipe.data.source:
        raise DataError("these weights do not say what they were trained on; name the images to evaluate on.")
    if not is_own(recipe, source):
        return load_images(str(source), geometry, metadata.classes, on_skip=on_skip), ""
    data = load_data(recipe.data)
    held_out, part = data.held_out(validation_chooses=recipe.validation_chooses)
    if held_out is None or not _is_unchanged(data, metadata):
        raise DataError(
            f"{recipe.data.source} no longer holds the images that this classifier was trained on, so the part that "
            "was set aside is lost. Evaluate on images that took no part in training: give a folder of them."
        )
    if on_skip is not None:
        for skipped in data.skipped:
            on_skip(skipped)
    return held_out, part


def validation_images(metadata: Metadata) -> tuple[ImageSet, str]:
    """Load the images that the training validated on, and say in words what is to be known of them.

    The words are empty for images that were set aside for it. Raises `DataError` where the weights do not say what they
    were trained on, or these images are no longer there.
    """
    recipe = recipe_of(metadata)
    if not recipe.data.source:
        raise DataError(
            "these weights do not say what they were trained on, and a temperature is fitted to the validation images "
            "of the training alone. In Python, neocog.evaluation.fit_temperature takes logits and labels of your own."
        )
    data = load_data(recipe.data)
    if data.valid is None or not _is_unchanged(data, metadata):
        raise DataError(
            f"{recipe.data.source} no longer holds the images that this classifier was trained on, so its validation "
            "images are lost, and a temperature is fitted to nothing else. Restore the images, or train anew."
        )
    if data.validation_origin == "test":
        return data.valid, (
            "the recipe validated on the test images, so the temperature is fitted to them: calibration figures on "
            "them are a little too good"
        )
    return data.valid, ""


def _is_unchanged(data: DataSet, metadata: Metadata) -> bool:
    images = metadata.figures.get("train_images", len(data.train))
    return bool(data.classes == metadata.classes and images == len(data.train))
