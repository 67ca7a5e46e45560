"""Cross-validation of a whole training inside the training images: is a procedure worth its time?"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from neocog.data import DataSet
from neocog.data.source import Progress
from neocog.data.twins import together
from neocog.features import features
from neocog.models import ScaledNetwork
from neocog.training.average import copy_weights
from neocog.training.evaluation import OrderedBatches, logits_of
from neocog.training.events import Event, Listener
from neocog.training.loop import Job, fit
from neocog.training.losses import build_loss
from neocog.training.preparing import Prepared
from neocog.training.stage_work import frozen_front, stage_work
from neocog.training.state import State
from neocog.training.stopping import Stopping
from neocog.transfer.folds import Folds, Int64, interval
from neocog.transfer.head import Float64, Penalty
from neocog.transfer.probe import cross_validate

# A cross-validation that is nearly done is not thrown away: by this share of its time it may be late.
_GRACE = 0.2


# Above so many images a single figure is precise enough without cross-validation.
FEW_IMAGES = 1000


class TooLong(Exception):  # noqa: N818  # not an error: the answer that the time does not allow
    """A cross-validation would not end in the time given; `seconds` is what all of it would take."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, eq=False)
class Trial:
    """What trainings said of images that took no part in them: `probabilities` (N, K) and `predictions` (N,)."""

    probabilities: Float64
    predictions: Int64
    labels: Int64

    @property
    def right(self) -> int:
        """Number of right answers."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / len(self.labels)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy (Wilson 1927)."""
        return interval(self.right, len(self.labels))

    def figures(self, procedure: str) -> dict[str, Any]:
        """The figures that a run keeps, as plain numbers."""
        return {
            "procedure": procedure,
            "images": len(self.labels),
            "correct": self.right,
            "accuracy": self.accuracy,
            "interval95": list(self.interval),
        }


def try_head(
    prepared: Prepared, *, folds: int, l2_penalty: Penalty = "auto", progress: Progress | None = None
) -> Trial:
    """Fit a head to the features of all folds but one, ask about that one, and go round.

    Images of a group, and those that show the same pixels, stay in one fold. Raises `DataError` as `cross_validate`.
    """
    data = prepared.data
    rows = features(frozen_front(prepared), data.train.images, prepared.hardware, progress=progress)
    labels = data.train.labels.numpy()
    found = cross_validate(
        rows.flatten(1).numpy(),
        labels,
        len(data.classes),
        groups=kept_together(data),
        folds=folds,
        seed=prepared.recipe.train.seed,
        l2_penalty=l2_penalty,
    )
    return Trial(found.probabilities, found.predictions, labels)


def kept_together(data: DataSet) -> Int64:
    """Give a number for each training image, the same for images of a group or of the same pixels: int64 (N,)."""
    found = together(data.train.images.numpy(), data.train.groups)
    return np.arange(len(data.train)) if found is None else found


def try_training(prepared: Prepared, folds: Folds, *, deadline: float) -> Trial:
    """Train on all folds but one as the recipe of `prepared` says, ask about that one, and go round.

    `prepared.network` stays as it is. `deadline` is a time of `time.monotonic`; raises `TooLong` as soon as it is clear
    that the folds will not be done by then.
    """
    labels = prepared.data.train.labels.numpy()
    probabilities = np.zeros((len(labels), len(prepared.data.classes)))
    begun = time.monotonic()

    def watch(_: Event) -> None:
        if time.monotonic() > deadline:
            raise TooLong((time.monotonic() - begun) * len(folds))

    for done, (train, test) in enumerate(folds, start=1):
        probabilities[test] = _answers(prepared, train, test, watch)
        expected = (time.monotonic() - begun) / done * len(folds)
        if begun + expected > deadline + _GRACE * expected:
            raise TooLong(expected)
    return Trial(probabilities, probabilities.argmax(1), labels)


def _answers(prepared: Prepared, train: Int64, test: Int64, watch: Listener) -> Float64:
    data = prepared.data
    part = _copy(prepared, replace(data, train=data.train.subset(train), valid=None, test=None))
    settings, counts = part.recipe.train, part.data.train.class_counts().tolist()
    job = Job(
        stages=part.recipe.stages(),
        work=lambda stage: stage_work(part, stage),
        loss=lambda stage: build_loss(stage, counts, part.hardware.device),
        hardware=part.hardware,
    )
    state = State(part.network, Stopping.from_settings(settings, validates=False))
    held_out = data.train.subset(test)
    with part.hardware.repeatable():
        fit(job, state, [watch])
        if state.best is not None:
            copy_weights(part.network, state.best)
        batches = OrderedBatches(held_out.images, held_out.labels)
        found = [logits for logits, _ in logits_of(part.model, batches, part.hardware)]
    return np.asarray(torch.cat(found).double().softmax(1).numpy(), dtype=np.float64)


def _copy(prepared: Prepared, data: DataSet) -> Prepared:
    network: nn.Module = copy.deepcopy(prepared.network)
    model = ScaledNetwork(prepared.model.scaling, network)
    return replace(prepared, data=data, network=network, model=model)
