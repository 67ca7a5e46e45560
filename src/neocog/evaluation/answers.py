"""A network's answers over labelled images, and every figure that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from neocog.errors import DataError
from neocog.evaluation.calibration import BINS, Calibration, calibrate_bins
from neocog.evaluation.classes import ClassFigures, MacroFigures, class_figures, macro_figures


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's answers over N images of K classes.

    `labels`, int64 (N,), are the true classes, `logits`, float64 (N, K), what the network gave; the probabilities are
    the softmax of the logits divided by `temperature` (1 unless the classifier was calibrated). `seconds` is the
    time of the pass over all images, `milliseconds` the median time of one image alone; None where not measured.
    Raises `DataError` where these do not fit together.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    temperature: float = 1.0
    seconds: float | None = None
    milliseconds: float | None = None

    def __post_init__(self) -> None:
        if self.logits.shape != (len(self.labels), len(self.classes)):
            raise DataError(
                f"expected logits of shape ({len(self.labels)}, {len(self.classes)}) for {len(self.labels)} labels and "
                f"{len(self.classes)} classes; got {self.logits.shape}."
            )

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.labels)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The probability of each class: float64 (N, K)."""
        found = torch.softmax(self._scaled, dim=1).numpy()
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def loss(self) -> float:
        """The mean cross entropy."""
        return float(F.cross_entropy(self._scaled, torch.from_numpy(self.labels)))

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """The cross entropy of each image: float64 (N,)."""
        found = F.cross_entropy(self._scaled, torch.from_numpy(self.labels), reduction="none").numpy()
        return np.asarray(found, dtype=np.float64)

    @property
    def _scaled(self) -> torch.Tensor:
        return torch.from_numpy(self.logits) / self.temperature

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image: int64 (N,)."""
        # by the logits: two of them may round to the same probability
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """The probability of each image's answer: float64 (N,)."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float64)

    @property
    def correct(self) -> int:
        """Number of images whose most probable class is the true one."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Fraction of images that were right, 0 to 1."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy (Wilson 1927)."""
        from scipy.stats import binomtest

        found = binomtest(self.correct, self.images).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts (K, K): rows are true classes, columns predicted ones."""
        size = len(self.classes)
        counts = np.bincount(self.labels * size + self.predicted, minlength=size * size)
        return np.asarray(counts.reshape(size, size), dtype=np.int64)

    def per_class(self) -> tuple[ClassFigures, ...]:
        """Precision, recall, F1 and area under the ROC curve of each class, in the order of `classes`."""
        return self._per_class

    @cached_property
    def _per_class(self) -> tuple[ClassFigures, ...]:
        # With many classes the areas take long, and several texts of one report ask for them.
        return class_figures(self.classes, self.labels, self.predicted, self.probabilities)

    def macro(self) -> MacroFigures:
        """The means of these figures over the classes that have images."""
        return macro_figures(self.per_class())

    def calibration(self, bins: int = BINS) -> Calibration:
        """Compare confidence with accuracy in `bins` bins of equal width; raises `DataError` for fewer than 1."""
        return calibrate_bins(self.confidence, self.predicted == self.labels, bins)

    def confusions(self, most: int) -> list[tuple[str, str, int]]:
        """The pairs (true class, answer, how often) that are confused most often, at most `most` of them."""
        counts = self.confusion
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:most]
        pairs = [divmod(int(place), len(self.classes)) for place in order]
        return [
            (self.classes[true], self.classes[said], int(counts[true, said]))
            for true, said in pairs
            if counts[true, said]
        ]

    def mistakes(self, most: int) -> NDArray[np.int64]:
        """Indices of the wrong answers that the network was surest of, surest first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        order = np.argsort(-self.confidence[wrong], kind="stable") if len(wrong) else wrong
        return wrong[order[:most]].astype(np.int64)

    def top_losses(self, most: int) -> NDArray[np.int64]:
        """Indices of the images with the largest loss, largest first; right answers that were unsure are among them."""
        return np.argsort(-self.losses, kind="stable")[:most].astype(np.int64)

    def wrong_by_loss(self) -> NDArray[np.int64]:
        """Indices of the wrong answers, those with the largest loss first."""
        order = self.top_losses(self.images)
        wrong: NDArray[np.int64] = order[self.predicted[order] != self.labels[order]]
        return wrong

    def figures(self) -> dict[str, Any]:
        """The figures that a run keeps, as plain numbers."""
        return {
            "images": self.images,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval95": list(self.interval),
            "loss": self.loss,
        }

    def all_figures(self) -> dict[str, Any]:
        """Every figure as plain values that JSON can hold: those of `figures`, macro means, calibration, classes,
        confusion, speed."""
        classes = self.per_class()
        return self.figures() | {
            "macro": macro_figures(classes).figures(),
            "temperature": self.temperature,
            "calibration": self.calibration().figures(),
            "classes": [found.figures() for found in classes],
            "confusion": self.confusion.tolist(),
            "speed": {
                "images_per_second": self.images / self.seconds if self.seconds else None,
                "milliseconds_an_image": self.milliseconds,
            },
        }
