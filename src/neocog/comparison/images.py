"""The images that several classifiers are compared on: the same for all, and seen by none of them in training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.classifier import Classifier
from neocog.data import ImageSet, load_images
from neocog.data.loading import find_source
from neocog.data.source import Source
from neocog.data.split import divide
from neocog.errors import DataError
from neocog.held_out import is_own, recipe_of
from neocog.recipe import Recipe


@dataclass(frozen=True, eq=False)
class CommonImages:
    """The same N images for each of several classifiers.

    `sets` has them once a classifier, in its geometry and with its numbers for the labels, in one order; `names` are
    their files, or their numbers among the first classifier's. `part` says which part of `source` they are; `chosen`
    are the places of the classifiers whose weights were chosen by such images; `notes` are sentences to read.
    """

    sets: tuple[ImageSet, ...]
    names: tuple[str, ...]
    source: str
    part: str
    chosen: tuple[int, ...]
    notes: tuple[str, ...]


def common_images(
    classifiers: Sequence[Classifier], names: Sequence[str], source: str | Path | None = None
) -> CommonImages:
    """Load the images for each of the classifiers, called `names` in errors.

    `source` is a data set, a folder or a CSV file; left out, it is what all of them were trained on. Of what one of
    them was trained on, only the part is taken that none of these was fitted to. Raises `DataError` where their labels
    differ, where they were trained on different data and no `source` is given, or where no image is left.
    """
    check_labels(classifiers, names)
    recipes = [recipe_of(classifier.metadata) for classifier in classifiers]
    if source is None:
        source = _shared_source(recipes, names)
    loader = _Loader(source)
    found = [loader(classifier, recipe) for classifier, recipe in zip(classifiers, recipes, strict=True)]
    # where a list names a file twice, the first line counts
    places = [{key: place for place, key in reversed(list(enumerate(each.keys)))} for each in found]
    kept = [key for key in reversed(places[0]) if all(key in other for other in places[1:])]
    if not kept:
        raise DataError(
            f"no image of {source} is left that none of them was trained on. Name other images with labels: --on DATA."
        )
    sets = [each.images.subset([place[key] for key in kept]) for each, place in zip(found, places, strict=True)]
    files = sets[0].sources
    return CommonImages(
        tuple(sets),
        tuple(files) if files is not None else tuple(str(places[0][key]) for key in kept),
        str(source),
        " and ".join(dict.fromkeys(each.part.partition(",")[0] for each in found if each.part)),
        tuple(number for number, each in enumerate(found) if "used to choose" in each.part),
        _notes(len(kept), max(len(each.images) for each in found)),
    )


def _notes(kept: int, most: int) -> tuple[str, ...]:
    if kept == most:
        return ()
    return (f"{kept:,} of {most:,} images are compared: the part that none of them was trained on.",)


def check_labels(classifiers: Sequence[Classifier], names: Sequence[str]) -> None:
    """Raise `DataError` unless all have the same labels, in whatever order."""
    for other, name in zip(classifiers[1:], names[1:], strict=True):
        lacking = [label for label in classifiers[0].classes if label not in other.classes]
        extra = [label for label in other.classes if label not in classifiers[0].classes]
        if lacking or extra:
            one = f"{names[0]} alone has {_few(lacking)}. " if lacking else ""
            two = f"{name} alone has {_few(extra)}. " if extra else ""
            raise DataError(
                f"{names[0]} and {name} have different labels. {one}{two}Compare classifiers of the same classes."
            )


def _shared_source(recipes: Sequence[Recipe], names: Sequence[str]) -> str:
    sources = [recipe.data.source for recipe in recipes]
    if len(set(sources)) > 1 or not sources[0]:
        said = "; ".join(f"{name}: {source or 'not known'}" for name, source in zip(names, sources, strict=True))
        raise DataError(f"they were trained on different data ({said}). Name the images to compare them on: --on DATA.")
    return sources[0]


class _Found(NamedTuple):
    """The images that one classifier may be judged by, what they are, and a key for each that all classifiers share."""

    images: ImageSet
    part: str
    keys: tuple[str, ...]


class _Loader:
    """Loads a source for one classifier after another; what they need alike is loaded once."""

    def __init__(self, source: str | Path) -> None:
        self.source = source
        self._sources: dict[str | None, Source] = {}
        self._sets: dict[object, _Found] = {}

    def __call__(self, classifier: Classifier, recipe: Recipe) -> _Found:
        own = is_own(recipe, self.source)
        division = recipe.data.model_dump_json(exclude={"mean", "std"}) if own else ""
        train_images = classifier.metadata.figures.get("train_images") if own else None
        wanted = (division, train_images, classifier.geometry, classifier.classes)
        if wanted not in self._sets:
            self._sets[wanted] = self._held_out(classifier, recipe) if own else self._other(classifier)
        return self._sets[wanted]

    def _held_out(self, classifier: Classifier, recipe: Recipe) -> _Found:
        images, part = classifier.images_to_evaluate(self.source)
        if images.sources is not None:
            return _Found(images, part, _files(images.sources))
        division = divide(self._found(recipe.data.groups), recipe.data)
        rows = division.test if division.test is not None else division.valid
        return _Found(images, part, _numbers(rows))

    def _other(self, classifier: Classifier) -> _Found:
        parts = self._found(None).parts
        part: Literal["test", "valid", "all"] = "all"
        if (parts == "test").any():
            part = "test"
        elif (parts == "valid").any():
            part = "valid"
        images = load_images(str(self.source), classifier.geometry, classifier.classes, split=part)
        rows = np.arange(len(parts)) if part == "all" else np.flatnonzero(parts == part)
        return _Found(images, "", _files(images.sources) if images.sources is not None else _numbers(rows))

    def _found(self, groups: str | None) -> Source:
        if groups not in self._sources:
            self._sources[groups] = find_source(str(self.source), groups=groups, to_train=False)
        return self._sources[groups]


def _files(names: Sequence[str]) -> tuple[str, ...]:
    # one of the classifiers may know the folder by its absolute path
    return tuple(map(os.path.abspath, names))


def _numbers(rows: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(map(str, rows.tolist()))


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
