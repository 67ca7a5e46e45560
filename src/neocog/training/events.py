"""What the loop tells its listeners. A listener is called with each event and may return a reason to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StageStarted:
    """A stage begins, or goes on after a resume."""

    stage: int
    name: str
    epochs: int
    steps: int
    epoch: int
    step: int


@dataclass(frozen=True)
class StepDone:
    """A step is done; `step` counts from 1 within the epoch, losses are means over the epoch so far."""

    epoch: int
    step: int
    steps: int
    images: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Validating:
    """A batch of the validation set is done."""

    done: int
    total: int


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done: its row of the history, whether its weights are the best so far, and whether they are kept.

    `images` and `seconds` are those that this process trained, validation left out.
    """

    row: Mapping[str, Any]
    epochs: int
    best: bool
    kept: bool
    images: int
    seconds: float


@dataclass(frozen=True)
class Stopped:
    """The training is over or interrupted: `reason` is `finished`, `early` or what a listener said."""

    reason: str
    finished: bool


Event = StageStarted | StepDone | Validating | EpochDone | Stopped
Listener = Callable[[Event], object]


def tell(listeners: Iterable[Listener], event: Event) -> str | None:
    """Tell every listener; give the first reason to stop, if any."""
    answers = [listener(event) for listener in listeners]
    return next((answer for answer in answers if isinstance(answer, str) and answer), None)
