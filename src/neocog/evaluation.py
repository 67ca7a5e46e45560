"""How good a network is on a set of images: figures, confusion and the answers they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from neocog.data import ImageSet
from neocog.errors import DataError
from neocog.training.evaluation import OrderedBatches, Progress, logits_of
from neocog.training.hardware import Hardware


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's answers over N images of K classes.

    `probabilities` is float64 (N, K), `labels` int64 (N,) the true classes; `loss` is the mean cross entropy.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    loss: float

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image: int64 (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

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
        from sklearn.metrics import confusion_matrix

        return np.asarray(
            confusion_matrix(self.labels, self.predicted, labels=range(len(self.classes))), dtype=np.int64
        )

    def mistakes(self, most: int) -> NDArray[np.int64]:
        """Indices of the wrong answers that the network was surest of, surest first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        order = np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable") if len(wrong) else wrong
        return wrong[order[:most]].astype(np.int64)

    def figures(self) -> dict[str, Any]:
        """The figures as plain numbers, for a file."""
        return {
            "images": self.images,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval95": list(self.interval),
            "loss": self.loss,
        }


def measure(model: nn.Module, image_set: ImageSet, hardware: Hardware, progress: Progress | None = None) -> Evaluation:
    """Run a network, scaling included, over an image set and gather its answers.

    Raises `DataError` where the set is empty.
    """

    batches = OrderedBatches(image_set.images, image_set.labels)
    found = list(logits_of(model, batches, hardware, progress))
    if not found:
        raise DataError("there is not a single image to evaluate on.")
    logits = torch.cat([part for part, _ in found]).double()
    labels = torch.cat([part for _, part in found])
    return Evaluation(
        image_set.classes,
        labels.numpy(),
        torch.softmax(logits, dim=1).numpy(),
        float(F.cross_entropy(logits, labels)),
    )
