"""Cross-validation of a whole training inside the training images: is a procedure worth its time?"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from neocog.data import DataSet
from neocog.models import ScaledNetwork
from neocog.training.average import copy_weights
from neocog.training.evaluation import OrderedBatches, logits_of
from neocog.training.events import Event, Listener
from neocog.training.loop import Job, fit
from neocog.training.losses import build_loss
from neocog.training.preparing import Prepared
from neocog.training.stage_work import stage_work
from neocog.training.state import State
from neocog.training.stopping import Stopping
from neocog.transfer.folds import Folds, Int64, interval
from neocog.transfer.head import Float64

# A cross-validation that is nearly done is not thrown away: by this share of its time it may be late.
_GRACE = 0.2


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
    seconds: float

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
    return Trial(probabilities, probabilities.argmax(1), labels, time.monotonic() - begun)


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
