"""A training small enough to be run dozens of times in a test, with everything in it that has a state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neocog.models import ScaledNetwork, Scaling, build
from neocog.recipe import Recipe, Stage
from neocog.training import checkpoint
from neocog.training.batches import TensorBatches
from neocog.training.evaluation import OrderedBatches
from neocog.training.events import Event, Listener, Stopped
from neocog.training.hardware import Hardware
from neocog.training.loop import Job, Work, fit
from neocog.training.losses import build_loss
from neocog.training.state import State
from neocog.training.stopping import Stopping

NETWORK = "conv 4 3x3 same | batchnorm | relu | dropout 0.2 | conv 4 3x3 | relu | maxpool 2 | flatten | linear classes"
CLASSES = 3


def images(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random uint8 images (N, 1, 8, 8) whose brightness tells their class, and int64 labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    noise = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
    return (noise + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels


def stages(train: dict[str, Any], *others: dict[str, Any]) -> tuple[Stage, ...]:
    """The stages of a recipe with these values."""
    return Recipe.model_validate({"train": {"batch_size": 8, **train}, "stage": list(others)}).stages()


class Training:
    """A job over 43 training and 12 validation images, its state, and the file that it saves to."""

    def __init__(self, chosen: Sequence[Stage], folder: Path, *, channels_last: bool = False) -> None:
        self.stages, self.path = tuple(chosen), folder / "last.safetensors"
        settings = self.stages[0].train
        self.network: nn.Module = build(NETWORK, (1, 8, 8), CLASSES, seed=1)
        place = Hardware(torch.device("cpu"), False, channels_last, 1)
        self.model = model = ScaledNetwork(Scaling(), self.network)
        place.place(model)
        self.state = State(self.network, Stopping.from_settings(settings))
        train, labels = images(43)
        self.job = Job(
            stages=self.stages,
            work=lambda stage: Work(
                model,
                TensorBatches(train, labels, stage.train.batch_size, seed=stage.train.seed),
                lambda: OrderedBatches(*images(12, seed=1)),
            ),
            loss=lambda stage: build_loss(stage, labels.bincount().tolist(), place.device),
            hardware=place,
            save=lambda state, now: checkpoint.write(self.path, state, {}) if now else None,
        )

    def go(self, *listeners: Listener) -> Stopped:
        """Train to the end, or until a listener wants to stop."""
        with self.job.hardware.repeatable():
            return fit(self.job, self.state, listeners)

    def restored(self) -> Training:
        """A fresh training that stands where this one was saved last."""
        fresh = Training(self.stages, self.path.parent, channels_last=self.job.hardware.channels_last)
        checkpoint.restore(fresh.state, *checkpoint.read(self.path), self.stages)
        return fresh


class StopAt:
    """A listener that asks to stop at an event of its number."""

    def __init__(self, number: int) -> None:
        self.number, self.events = number, list[Event]()

    def __call__(self, event: Event) -> str | None:
        self.events.append(event)
        return "enough" if len(self.events) == self.number + 1 else None
