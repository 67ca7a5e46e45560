"""The training loop: fit, epoch, step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neocog.errors import TrainingError
from neocog.recipe import Stage, TrainSettings
from neocog.training.average import weights_replaced
from neocog.training.batches import Batch, Batches, most_probable
from neocog.training.evaluation import Figures, Progress, StopRequested, check_logits, evaluate
from neocog.training.events import EpochDone, Listener, StageStarted, StepDone, Stopped, Validating, tell
from neocog.training.hardware import Hardware
from neocog.training.keys import key, keyed_randomness
from neocog.training.losses import Loss
from neocog.training.optimizers import set_learning_rate
from neocog.training.schedule import learning_rate
from neocog.training.state import Row, State, training_mode


@dataclass(frozen=True)
class Work:
    """What a stage trains: a model that turns the `batches`, and those of `valid`, into logits.

    Where the first part of the network is frozen, the model may be the rest of it, and the batches what the first part
    makes of the images. `solve`, where given, stands for all steps of the only epoch: it sets the weights, and gives
    the sum of the losses, the number right and the number of images.
    """

    model: nn.Module
    batches: Batches
    valid: Callable[[], Iterable[Any]] | None
    solve: Callable[[], tuple[float, int, int]] | None = None


@dataclass(frozen=True)
class Job:
    """What a training needs and does not change.

    `work` gives what a stage trains, and may raise `StopRequested` while it prepares that; `loss` is its training loss;
    `State.network` has the weights. `save` is called at every point from which the training could go on, with `True`
    where it must not wait.
    """

    stages: Sequence[Stage]
    work: Callable[[Stage], Work]
    loss: Callable[[TrainSettings], Loss]
    hardware: Hardware
    save: Callable[[State, bool], None] = lambda state, now: None
    optimizer: torch.optim.Optimizer | None = None


def fit(job: Job, state: State, listeners: Sequence[Listener] = ()) -> Stopped:
    """Train stage by stage, from where `state` stands to the end, or until a listener gives a reason to stop.

    Raises `TrainingError` where the loss is not finite; the state still has the best weights then.
    """
    early = False
    while state.stage < len(job.stages):
        stage = job.stages[state.stage]
        if state.optimizer is None:
            state.prepare_stage(stage, optimizer=job.optimizer)
        try:
            work, loss = job.work(stage), job.loss(stage.train)
        except StopRequested as request:
            job.save(state, True)
            return _stopped(request.reason, False, listeners)
        reason = tell(
            listeners,
            StageStarted(state.stage, stage.name, stage.train.epochs, work.batches.steps, state.epoch, state.step),
        )
        while not reason and state.epoch < stage.train.epochs and not state.stopping.exhausted(stage.train.patience):
            reason = train_epoch(job, work, state, stage, loss, listeners)
        if reason:
            job.save(state, True)
            return _stopped(reason, False, listeners)
        early = state.epoch < stage.train.epochs
        state.next_stage()
    state.finished = True
    job.save(state, True)
    return _stopped("early" if early else "finished", True, listeners)


def train_epoch(
    job: Job, work: Work, state: State, stage: Stage, loss: Loss, listeners: Sequence[Listener]
) -> str | None:
    """Train from the step that `state` stands at to the end of the epoch, then validate; give a reason to stop."""
    started, first, batches = time.perf_counter(), state.seen, work.batches
    rate = learning_rate(stage.train, state.epoch * batches.steps + max(state.step - 1, 0), batches.steps)
    if work.solve is not None:
        state.loss_sum, state.correct, state.seen = work.solve()
        first = 0
    else:
        training_mode(work.model, freeze_batch_norm=stage.train.freeze_batch_norm)
    for batch in batches.epoch(state.stage, state.epoch, state.step) if work.solve is None else ():
        rate = learning_rate(stage.train, state.epoch * batches.steps + state.step, batches.steps)
        state.count(*train_step(job, work.model, state, stage.train, batch, loss, rate))
        job.save(state, False)
        mean, accuracy = state.loss_sum / state.seen, state.correct / state.seen
        reason = tell(listeners, StepDone(state.epoch, state.step, batches.steps, state.seen, mean, accuracy))
        if reason:
            return reason
    seconds = time.perf_counter() - started
    try:
        row = _close_epoch(job, work, state, stage, rate, listeners)
    except StopRequested as request:
        return request.reason
    state.history.append(row)
    best = state.stopping.improves(row, stage.train.min_delta)
    kept = best or stage.train.keep == "last"
    if kept:
        state.keep_weights()
    images = state.seen - first
    state.next_epoch()
    job.save(state, True)
    return tell(listeners, EpochDone(row, stage.train.epochs, best, kept, images, seconds))


def train_step(
    job: Job, model: nn.Module, state: State, settings: TrainSettings, batch: Batch, loss: Loss, rate: float
) -> tuple[float, int, int]:
    """Do one step of the optimiser; give the mean loss of the batch, the number right and its size."""
    optimizer = state.optimizer
    if optimizer is None or not len(batch[1]):
        raise TrainingError("a training step needs at least one image; a batch was empty.")
    images, labels = job.hardware.images(batch[0]), batch[1].to(job.hardware.device)
    classes = most_probable(labels)
    with keyed_randomness(job.hardware.device, key(settings.seed, "step", state.stage, state.epoch, state.step)):
        with job.hardware.precision():
            logits = _answers(model, images, classes)
            error = loss(logits, labels)
        if error.numel() != 1:
            raise TrainingError(
                f"the loss must be a single number; it has the shape {tuple(error.shape)}. Take its mean."
            )
        value = error.item()
        if not math.isfinite(value):
            raise TrainingError(_not_finite("loss", value, state, settings))
        optimizer.zero_grad(set_to_none=True)
        error.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
    if settings.clip_norm is not None:
        # Only of what this stage trains: other parameters may still hold gradients of an earlier stage.
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(trained, settings.clip_norm)
    if job.optimizer is None:
        set_learning_rate(optimizer, rate)
    optimizer.step()
    if state.average is not None:
        state.average.update(state.network)
    return value, int((logits.argmax(1) == classes).sum()), len(labels)


def _answers(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Give the logits of a training batch, or say what is wrong with them."""
    try:
        logits: torch.Tensor = model(images)
    except ValueError as error:
        if len(images) == 1 and "more than 1 value per channel" in str(error):
            raise TrainingError(
                "batch norm cannot train on a batch of one image, whose every channel is a single number here. "
                "Choose a batch_size of at least 2; for a DataLoader whose last batch has one image, drop_last=True."
            ) from error
        raise
    check_logits(logits, labels)
    return logits


def _close_epoch(job: Job, work: Work, state: State, stage: Stage, rate: float, listeners: Sequence[Listener]) -> Row:
    """Validate and give the epoch's row of the history."""
    row: Row = {
        "stage": stage.name,
        "epoch": state.epoch + 1,
        "train_loss": state.loss_sum / max(state.seen, 1),
        "train_accuracy": state.correct / max(state.seen, 1),
    }
    if work.valid is not None:

        def progress(done: int, total: int) -> str | None:
            return tell(listeners, Validating(done, total))

        with weights_replaced(state.network, state.evaluated_weights()):
            figures = _validate(job, work, state, stage, progress)
        if not math.isfinite(figures.loss):
            raise TrainingError(_not_finite("validation loss", figures.loss, state, stage.train))
        row |= {"valid_loss": figures.loss, "valid_accuracy": figures.accuracy}
    elif not all(bool(weight.isfinite().all()) for weight in state.network.parameters()):
        # The loss of the last step was still finite, what it did to the weights is not.
        raise TrainingError(_not_finite("weights' largest value", math.inf, state, stage.train))
    if work.solve is not None:
        return row | {"learning_rate": 0.0}
    return row | {"learning_rate": rate if job.optimizer is None else job.optimizer.param_groups[0]["lr"]}


def _validate(job: Job, work: Work, state: State, stage: Stage, progress: Progress) -> Figures:
    dropout = stage.train.validation_dropout
    batches: Iterable[Any] = work.valid() if work.valid is not None else ()
    with keyed_randomness(job.hardware.device, key(stage.train.seed, "validation", state.stage, state.epoch)):
        return evaluate(work.model, batches, job.hardware, progress, dropout=dropout)


def _stopped(reason: str, finished: bool, listeners: Sequence[Listener]) -> Stopped:
    event = Stopped(reason, finished)
    tell(listeners, event)
    return event


def _not_finite(what: str, value: float, state: State, settings: TrainSettings) -> str:
    kept = "The best weights so far are kept." if state.best is not None else "No epoch was complete yet."
    where = (
        f"epoch {state.epoch + 1}, step {state.step + 1}" if what == "loss" else f"the end of epoch {state.epoch + 1}"
    )
    return (
        f"the {what} is {value} at {where}: the training has diverged. {kept} "
        f"Try a smaller learning rate (lr = {settings.lr / 10:g}), a warm-up (warmup_epochs = 1) "
        'or clip_norm = 1.0; with bfloat16 also precision = "float32".'
    )
