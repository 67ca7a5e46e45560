"""The figures of each class, and their means over the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassFigures:
    """How one class fares: its `images`, how many of them are `right`, and fractions from 0 to 1.

    `precision` is the share of the answers with this class that are right, `recall` the share of its images that
    are, `f1` their harmonic mean; `auc` is the area under the ROC curve of its probability against all other classes:
    the chance that one of its images gets a higher one than an image of another class. None where a figure has no
    meaning: the precision of a class that is never answered, the recall and the area of one without images.
    """

    name: str
    images: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None

    def figures(self) -> dict[str, Any]:
        """The figures as plain values, for a file."""
        return asdict(self)


@dataclass(frozen=True)
class MacroFigures:
    """Means over the classes that have images, each class counting the same however many it has.

    A class that is never answered has a precision of 0 here. `auc` is None where there is only one class with images.
    """

    precision: float
    recall: float
    f1: float
    auc: float | None

    def figures(self) -> dict[str, Any]:
        """The figures as plain values, for a file."""
        return asdict(self)


def class_figures(
    classes: Sequence[str],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float64],
) -> tuple[ClassFigures, ...]:
    """Give the figures of each of K classes from labels and answers (N,) and probabilities (N, K)."""
    from sklearn.metrics import precision_recall_fscore_support

    numbers = range(len(classes))
    precision, recall, f1, images = precision_recall_fscore_support(
        labels, predicted, labels=numbers, average=None, zero_division=np.nan
    )
    right = np.bincount(labels[labels == predicted], minlength=len(classes))
    return tuple(
        ClassFigures(
            name,
            int(images[number]),
            int(right[number]),
            _defined(precision[number]),
            _defined(recall[number]),
            _defined(f1[number]),
            _area(labels == number, probabilities[:, number]),
        )
        for number, name in zip(numbers, classes, strict=True)
    )


def macro_figures(found: Sequence[ClassFigures]) -> MacroFigures:
    """Average the figures of the classes that have images."""
    there = [figures for figures in found if figures.images]
    areas = [figures.auc for figures in there if figures.auc is not None]
    return MacroFigures(
        float(np.mean([figures.precision or 0.0 for figures in there])),
        float(np.mean([figures.recall or 0.0 for figures in there])),
        float(np.mean([figures.f1 or 0.0 for figures in there])),
        float(np.mean(areas)) if areas else None,
    )


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _area(mine: NDArray[np.bool_], scores: NDArray[np.float64]) -> float | None:
    from sklearn.metrics import roc_auc_score

    if not mine.any() or mine.all() or not np.isfinite(scores).all():
        return None
    return float(roc_auc_score(mine, scores))
