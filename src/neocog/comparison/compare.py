"""Several classifiers side by side on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from neocog.classifier import Classifier, load
from neocog.comparison.images import CommonImages, common_images
from neocog.comparison.mcnemar import McNemar, holm, mcnemar
from neocog.data import ImageSet
from neocog.errors import DataError, ModelError
from neocog.evaluation import Evaluation
from neocog.run import Run


@dataclass(frozen=True, eq=False)
class Compared:
    """One of the classifiers: its name, its answers and its number of parameters."""

    name: str
    evaluation: Evaluation
    parameters: int

    def figures(self) -> dict[str, Any]:
        """The figures as plain values, for a file."""
        found = self.evaluation
        return {
            "name": self.name,
            **found.figures(),
            "ece": found.calibration().ece,
            "temperature": found.temperature,
            "parameters": self.parameters,
            "milliseconds_an_image": found.milliseconds,
        }


@dataclass(frozen=True)
class Pair:
    """Two of the classifiers, by name, and McNemar's test of them; `adjusted` is its p after Holm's correction."""

    first: str
    second: str
    test: McNemar
    adjusted: float


@dataclass(frozen=True)
class Difference:
    """An image on which the answers differ: its place and name, its label, and (answer, probability) of each."""

    place: int
    name: str
    label: str
    answers: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What comparing gave: the classifiers in the order given, every pair of them, and the images they differ on.

    `differences` begin with the image on which the probabilities of the true class lie farthest apart.
    """

    images: CommonImages
    compared: tuple[Compared, ...]
    pairs: tuple[Pair, ...]
    differences: tuple[Difference, ...]

    def figures(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold."""
        return {
            "source": self.images.source,
            "part": self.images.part,
            "images": len(self.images.names),
            "chosen_by_these_images": [self.compared[place].name for place in self.images.chosen],
            "notes": list(self.images.notes),
            "classifiers": [found.figures() for found in self.compared],
            "pairs": [
                {"first": pair.first, "second": pair.second}
                | {"first_only": pair.test.first_only, "second_only": pair.test.second_only}
                | {"p": pair.test.p, "p_holm": pair.adjusted, "exact": pair.test.exact}
                | {"statistic": pair.test.statistic}
                for pair in self.pairs
            ],
            "differences": [
                {"image": found.name, "label": found.label}
                | {"answers": [{"label": label, "probability": value} for label, value in found.answers]}
                for found in self.differences
            ],
        }


def compare(
    classifiers: Sequence[Classifier | Run | Path | str],
    on: str | Path | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Comparison:
    """Compare two or more classifiers on the same images, each in its own geometry.

    They are classifiers, runs or `.safetensors` files, called by `names` (left out: their paths). The images are those
    of `on`, a data set, folder or CSV file with labels; left out, the data that all of them were trained on. Only
    images that none of them was fitted to are taken. Raises `DataError` for fewer than two, for labels or data that
    differ, and where no image is left, `ModelError` where a network gives numbers that are not finite.
    """
    called = list(names) if names is not None else [_name(item, number) for number, item in enumerate(classifiers, 1)]
    if len(classifiers) < 2 or len(called) != len(classifiers):
        raise DataError(f"expected two or more classifiers, each with a name; got {len(classifiers)}.")
    twice = next((name for name in called if called.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{twice} is given twice. Name each classifier once.")
    loaded = [item if isinstance(item, Classifier) else load(item) for item in classifiers]
    images = common_images(loaded, called, on)
    compared = tuple(map(_compared, called, loaded, images.sets))
    return Comparison(images, compared, _pairs(compared), _differences(images, compared))


def _compared(name: str, classifier: Classifier, images: ImageSet) -> Compared:
    try:
        evaluation = classifier.evaluate(images)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    return Compared(name, evaluation, sum(weight.numel() for weight in classifier.network.parameters()))


def _pairs(compared: Sequence[Compared]) -> tuple[Pair, ...]:
    right = {found.name: found.evaluation.predicted == found.evaluation.labels for found in compared}
    tests = [(first, second, mcnemar(right[first], right[second])) for first, second in combinations(right, 2)]
    adjusted = holm([test.p for _, _, test in tests])
    return tuple(Pair(*found, p) for found, p in zip(tests, adjusted, strict=True))


def _differences(images: CommonImages, compared: Sequence[Compared]) -> tuple[Difference, ...]:
    answers = np.array([np.array(found.evaluation.classes)[found.evaluation.predicted] for found in compared])
    rows = np.arange(len(images.names))
    true = np.array([found.evaluation.probabilities[rows, found.evaluation.labels] for found in compared])
    apart = true.max(axis=0) - true.min(axis=0)
    places = np.flatnonzero((answers != answers[0]).any(axis=0))
    places = places[np.argsort(-apart[places], kind="stable")]
    first = compared[0].evaluation
    return tuple(
        Difference(
            place,
            images.names[place],
            first.classes[first.labels[place]],
            tuple(
                (str(said), float(found.evaluation.confidence[place]))
                for said, found in zip(answers[:, place], compared, strict=True)
            ),
        )
        for place in places.tolist()
    )


def _name(item: Classifier | Run | Path | str, number: int) -> str:
    if isinstance(item, Classifier):
        return f"classifier {number}"
    return str(item.path if isinstance(item, Run) else item)
