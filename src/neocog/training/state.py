"""Everything about a training that changes as it goes on."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from neocog.data.names import natural_sort
from neocog.errors import RecipeError
from neocog.models.pieces import can_be_cut, pieces
from neocog.recipe import Stage, TrainSettings
from neocog.training.average import MovingAverage
from neocog.training.optimizers import build_optimizer
from neocog.training.stopping import Stopping

Row = dict[str, Any]


@dataclass
class State:
    """Where a training stands: the weights, what goes with them, and the place (stage, epoch, step) reached.

    `loss_sum`, `correct` and `seen` are the epoch's sums up to `step`; `best` holds the weights to keep so far (those
    of the best epoch, or of the last where the recipe says so), which belong to row `best_at` of the history. Weights
    that came frozen stay so in every stage. `cached` is the number of pieces whose features the stage trains on.
    """

    network: nn.Module
    stopping: Stopping
    optimizer: Optimizer | None = None
    average: MovingAverage | None = None
    best: dict[str, torch.Tensor] | None = None
    best_at: int | None = None
    history: list[Row] = field(default_factory=list)
    stage: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    finished: bool = False
    cached: int | None = None
    frozen: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.frozen = frozen_names(self.network)

    def prepare_stage(self, stage: Stage, *, optimizer: Optimizer | None = None) -> None:
        """Freeze what the stage freezes and give it an optimiser (and average) of its own."""
        freeze(self.network, stage.freeze, always=self.frozen)
        self.network.zero_grad(set_to_none=True)
        # Logistic regression is solved, not stepped: there is nothing to average either.
        if stage.train.optimizer == "logistic-regression":
            return
        self.optimizer = optimizer or build_optimizer(trained_groups(self.network, stage.train), stage.train)
        self.average = MovingAverage(self.network, stage.train.ema) if stage.train.ema else None

    def next_stage(self) -> None:
        """Go on to the beginning of the next stage."""
        self.stage, self.epoch, self.stopping.waited = self.stage + 1, 0, 0
        self.optimizer = self.average = self.cached = None
        self.clear_sums()

    def next_epoch(self) -> None:
        """Go on to the beginning of the next epoch."""
        self.epoch += 1
        self.clear_sums()

    def clear_sums(self) -> None:
        """Begin an epoch's sums anew."""
        self.step, self.loss_sum, self.correct, self.seen = 0, 0.0, 0, 0

    def count(self, loss: float, correct: int, images: int) -> None:
        """Take a step's figures into the epoch's sums."""
        self.step += 1
        self.loss_sum += loss * images
        self.correct += correct
        self.seen += images

    def evaluated_weights(self) -> dict[str, torch.Tensor] | None:
        """The averaged weights where there are any; `None` stands for the network's own."""
        return self.average.tensors if self.average else None

    def best_row(self) -> Row:
        """Give the row of the history whose weights are kept; empty where there is none yet."""
        return {} if self.best_at is None else dict(self.history[self.best_at])

    def keep_weights(self) -> None:
        """Remember the weights that were just evaluated, those of the last row of the history, as the ones to keep."""
        weights = self.evaluated_weights() or self.network.state_dict()
        self.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
        self.best_at = len(self.history) - 1


def check_stages(network: nn.Module, stages: Sequence[Stage]) -> None:
    """Raise `RecipeError`, before anything is trained, for a stage that freezes what is not there, or everything."""
    names, frozen = [name for name, _ in network.named_parameters()], frozen_names(network)
    for stage in stages:
        for pattern in stage.freeze:
            if not any(_matches(name, pattern) for name in names):
                layers = natural_sort({name.rpartition(".")[0] or name for name in names})
                raise RecipeError(
                    f"stage {stage.name!r}: freeze = [{pattern!r}]: no layer has this name. "
                    f"There are: {', '.join(layers)}."
                )
        if all(name in frozen or any(_matches(name, pattern) for pattern in stage.freeze) for name in names):
            which = (
                f"stage {stage.name!r}: every weight is frozen" if stage.freeze or frozen else "there are no weights"
            )
            raise RecipeError(f"{which}, so there is nothing to train; leave at least one layer to train.")
        if stage.train.layer_lr_decay != 1 and not can_be_cut(network):
            raise RecipeError(
                f"stage {stage.name!r}: layer_lr_decay goes by the order of the layers, and neocog does not know that "
                f"of {type(network).__name__}. Leave it out, or let your code give an nn.Sequential of its parts."
            )


def frozen_names(network: nn.Module) -> frozenset[str]:
    """Give the names of the parameters that are not to be trained."""
    return frozenset(name for name, parameter in network.named_parameters() if not parameter.requires_grad)


def freeze(network: nn.Module, patterns: Iterable[str], *, always: Iterable[str] = ()) -> None:
    """Let exactly the parameters whose layer or own name matches a pattern, or is one of `always`, stay as they are."""
    patterns, always = tuple(patterns), frozenset(always)
    for name, parameter in network.named_parameters():
        if name not in always:
            parameter.requires_grad_(not any(_matches(name, pattern) for pattern in patterns))


def training_mode(network: nn.Module, *, freeze_batch_norm: bool = False) -> None:
    """Switch to training, but leave layers whose weights are all frozen in evaluation: their statistics stay.

    With `freeze_batch_norm` every batch norm stays in evaluation, also one whose weights are trained.
    """
    network.train()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        frozen = own and not any(parameter.requires_grad for parameter in own)
        if frozen or (freeze_batch_norm and isinstance(module, nn.modules.batchnorm._BatchNorm)):
            module.eval()


def trained_groups(network: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Give the parameters to train, in groups with a "factor" for their learning rate.

    With `layer_lr_decay` each block that is trained has the rate of the block behind it times the decay; blocks are the
    pieces of the network with weights, a batch norm going with the layer before it.
    """
    if settings.layer_lr_decay == 1:
        return [{"params": [parameter for parameter in network.parameters() if parameter.requires_grad]}]
    groups: list[dict[str, Any]] = []
    for name, module in pieces(network):
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if trained and groups and isinstance(module, nn.modules.batchnorm._BatchNorm):
            groups[-1]["params"] += trained
        elif trained:
            groups.append({"params": trained, "block": name})
    for distance, group in enumerate(reversed(groups)):
        group["factor"] = settings.layer_lr_decay**distance
    return groups


def _matches(name: str, pattern: str) -> bool:
    parts = name.split(".")
    return any(fnmatch.fnmatchcase(".".join(parts[: end + 1]), pattern) for end in range(len(parts)))
