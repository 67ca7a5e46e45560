"""`fit`: the same loop for people with a module and batches of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neocog.data import ImageSet
from neocog.errors import DataError, RecipeError
from neocog.models import Scaling
from neocog.recipe import Recipe, Stage, TrainSettings, settings_by_name
from neocog.training.average import copy_weights
from neocog.training.batches import Batches, LoaderBatches, TensorBatches
from neocog.training.evaluation import OrderedBatches
from neocog.training.events import Listener, Stopped
from neocog.training.hardware import hardware, resolve
from neocog.training.interrupt import Interrupt
from neocog.training.loop import Job, Work
from neocog.training.loop import fit as fit_job
from neocog.training.losses import Loss, build_loss
from neocog.training.progress import ProgressBar
from neocog.training.state import Row, State, check_stages
from neocog.training.stopping import Stopping

_OPTIMIZER_KEYS = frozenset(
    {"optimizer", "lr", "momentum", "nesterov", "betas", "epsilon", "weight_decay"}
    | {"schedule", "warmup_epochs", "step_epochs", "step_factor"}
)


@dataclass(frozen=True)
class Fitted:
    """What `fit` gives back: the rows of the history, the best epoch and its weights, and why it ended."""

    history: list[Row]
    best_epoch: Row
    best_weights: dict[str, torch.Tensor]
    reason: str

    def column(self, name: str) -> list[float]:
        """One figure over the epochs, such as `valid_loss`."""
        return [row[name] for row in self.history]


def fit(
    model: nn.Module,
    train: Any,
    valid: Any = None,
    *,
    loss: Loss | str | None = None,
    optimizer: torch.optim.Optimizer | str | None = None,
    progress: bool = True,
    listeners: Sequence[Listener] = (),
    **settings: Any,
) -> Fitted:
    """Train any module on any batches; the best weights are in it afterwards and in the result.

    `model` takes a batch of images as they are given (uint8 ones too: see `neocog.models.ScaledNetwork`) and gives
    logits (B, K). `train` and `valid` are an `ImageSet`, a pair of tensors (images, labels), a torch DataLoader, or
    any sized iterable of such pairs; labels are whole numbers from 0 to K - 1, (B,). Tensors are shuffled anew each
    epoch by `seed`; a DataLoader shuffles by the generator that it was given. `loss` takes (logits, labels) and gives
    a scalar, or is one of the recipe's by its name (default: cross entropy). `optimizer` is one of PyTorch's over the
    model's parameters, with a learning rate of its own, or a name. `settings` are keys of `[train]`: `epochs=5,
    lr=1e-3, patience=3, device="cpu"`.
    Without `valid` the best epoch is chosen by the training figures. Parameters that do not require a gradient stay
    as they are.

    The model is left in evaluation mode. Raises `TrainingError` where the loss is not finite (the model has the
    best weights then too), `DataError`, `ModelError` and `RecipeError` for what cannot be used.
    """
    own = optimizer if isinstance(optimizer, torch.optim.Optimizer) else None
    if isinstance(optimizer, str):
        settings["optimizer"] = optimizer
    own_loss = None if isinstance(loss, str) else loss
    if isinstance(loss, str):
        settings["loss"] = loss
    chosen = Recipe().with_values(_own_settings(settings, own))
    chosen = chosen.with_values(resolve(chosen.train, model))
    options, place = chosen.train, hardware(chosen.train)
    stages = (Stage("train", (), options),)
    check_stages(model, stages)
    place.place(model)
    _check_scaled(model, train)
    validation = _ordered(valid)
    bar = ProgressBar() if progress else None
    job = Job(
        stages=stages,
        work=lambda stage: Work(
            model, _batches(train, stage.train), (lambda: validation) if validation is not None else None
        ),
        loss=lambda stage: own_loss or build_loss(stage, None, place.device),
        hardware=place,
        optimizer=own,
    )
    state = State(model, Stopping.from_settings(options, validates=valid is not None))
    try:
        with place.repeatable(), Interrupt() as interrupt:
            stopped = fit_job(job, state, [*([bar] if bar else []), *listeners, interrupt])
    finally:
        if bar:
            bar.close()
        if state.best is not None:
            copy_weights(model, state.best)
        model.eval()
    return _result(state, stopped)


def _own_settings(settings: Mapping[str, Any], optimizer: torch.optim.Optimizer | None) -> dict[str, Any]:
    """Give the settings their table; refuse those that would have no effect here."""
    named = settings_by_name(settings)
    for key in named:
        if not key.startswith("train."):
            raise RecipeError(f"fit takes the keys of [train] alone; {key} has no effect on images of your own.")
        if optimizer is not None and key.partition(".")[2] in _OPTIMIZER_KEYS:
            raise RecipeError(
                f"{key} has no effect on an optimizer of your own: set it there, or give optimizer by its name."
            )
    return named


def _result(state: State, stopped: Stopped) -> Fitted:
    best = state.best or {name: tensor.detach().clone() for name, tensor in state.network.state_dict().items()}
    return Fitted(state.history, state.best_row(), best, stopped.reason)


def _batches(train: Any, settings: TrainSettings) -> Batches:
    pair = _tensors(train)
    if pair is not None:
        return TensorBatches(*pair, settings.batch_size, seed=settings.seed)
    return LoaderBatches(train)


def _ordered(valid: Any) -> Iterable[Any] | None:
    pair = _tensors(valid)
    if pair is not None:
        return OrderedBatches(*pair)
    if valid is not None and (not isinstance(valid, Iterable) or isinstance(valid, Iterator)):
        raise DataError(
            "expected images and labels, or batches that can be gone through once an epoch, such as a DataLoader, to "
            f"validate on; got {type(valid).__name__}. Wrap a generator in list(...)."
        )
    return valid


def _tensors(given: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    if isinstance(given, ImageSet):
        return given.images, given.labels
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(item, torch.Tensor) for item in given):
        images, labels = given
        if len(images) != len(labels) or not len(labels):
            raise DataError(f"expected one label for each image; got {len(images)} images and {len(labels)} labels.")
        return images, labels
    return None


def _check_scaled(model: nn.Module, train: Any) -> None:
    pair = _tensors(train)
    if pair is None or pair[0].dtype != torch.uint8 or any(isinstance(part, Scaling) for part in model.modules()):
        return
    raise DataError(
        "the images are uint8 numbers from 0 to 255, and the model has no layer that scales them. "
        "Put one in front, neocog.models.ScaledNetwork(neocog.models.Scaling(), model), or give floats."
    )
