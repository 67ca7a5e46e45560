"""What a stage trains: the whole network on images, or its last part on the features that the frozen part gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neocog.data.imageset import ImageSet
from neocog.data.memory import available_memory
from neocog.data.source import Progress
from neocog.data.twins import together
from neocog.errors import RecipeError
from neocog.features import features
from neocog.models.pieces import Piece, Pieces, can_be_cut, frozen_start, head_start, pieces
from neocog.recipe import Stage, TrainSettings
from neocog.training.batches import TensorBatches
from neocog.training.evaluation import OrderedBatches
from neocog.training.loop import Work
from neocog.training.state import State, freeze, frozen_names

if TYPE_CHECKING:
    from neocog.training.preparing import Prepared

SOLVED = "logistic-regression"
# Of the memory that is free, the share that features may take.
_SHARE = 4


def stage_work(prepared: Prepared, stage: Stage, progress: Progress | None = None, state: State | None = None) -> Work:
    """Give what a stage trains, its frozen layers being frozen already.

    Where the first pieces of the network are frozen and the images come unchanged, these pieces run once over the
    images, and the stage trains the rest on what they gave. `state` remembers how many pieces, since that depends on
    the memory that was free when the stage began: a training that goes on goes on as it began.
    """
    start = _cached_pieces(prepared, stage) if state is None or state.cached is None else state.cached
    if state is not None:
        state.cached = start
    if not start:
        return _whole(prepared, stage)
    row = pieces(prepared.network)
    front = nn.Sequential(prepared.model.scaling, Pieces(row[:start]))
    rest = Pieces(row[start:])
    train, valid = prepared.data.train, prepared.data.valid
    of_train = features(front, train.images, prepared.hardware, progress=progress)
    of_valid = None if valid is None else features(front, valid.images, prepared.hardware, progress=progress)
    batches = _batches(prepared, of_train, stage.train)
    ordered = None
    if valid is not None and of_valid is not None:
        ordered = OrderedBatches(of_valid, valid.labels)
    solve = None
    if stage.train.optimizer == SOLVED:

        def solve() -> tuple[float, int, int]:
            return _solved(row, of_train, train, stage.train)

    return Work(rest, batches, None if ordered is None else lambda: ordered, solve)


def image_batches(prepared: Prepared, stage: Stage) -> TensorBatches:
    """Give the training images of a stage, augmented where the stage wants it."""
    train = prepared.data.train
    return TensorBatches(
        prepared.hardware.keep(train.images),
        train.labels,
        stage.train.batch_size,
        seed=stage.train.seed,
        augment=prepared.augment if stage.augment else None,
        mix=prepared.mix if stage.augment else None,
    )


def frozen_front(prepared: Prepared) -> nn.Module:
    """Give all of the network before its head, with the scaling: images to what a new head learns on."""
    row = pieces(prepared.network)
    return nn.Sequential(prepared.model.scaling, Pieces(row[: head_start(row)]))


def check_solvable(network: nn.Module, stages: Sequence[Stage]) -> None:
    """Raise `RecipeError` for a stage of logistic regression that leaves more to train than the last linear layer."""
    for stage in stages:
        if stage.train.optimizer != SOLVED:
            continue
        if stage.train.class_weights != "none":
            raise RecipeError(
                f"stage {stage.name!r}: logistic regression takes no class_weights. Leave them out, or train the head "
                'in steps, such as optimizer = "adamw".'
            )
        row = pieces(network)
        head = head_start(row)
        always = frozen_names(network)
        freeze(network, stage.freeze, always=always)
        # Dropout within the frozen part does nothing: its features are computed in evaluation.
        trained = [name for name, module in row[:head] if any(p.requires_grad for p in module.parameters())]
        freeze(network, (), always=always)
        if trained:
            frozen = ", ".join(f'"{name}"' for name in _to_freeze(row, head))
            raise RecipeError(
                f"stage {stage.name!r}: logistic regression solves the last linear layer alone, but {trained[0]} "
                f"is not frozen. Freeze what comes before it: freeze = [{frozen}]."
            )


def _to_freeze(row: Sequence[Piece], head: int) -> list[str]:
    """Name all weights before the head: by the group that they are in, unless the head is in it too."""
    shared = {name.partition(".")[0] for name, _ in row[head:]}
    weighty = [name for name, module in row[:head] if any(True for _ in module.parameters())]
    return list(dict.fromkeys(name if (top := name.partition(".")[0]) in shared else top for name in weighty))


def _whole(prepared: Prepared, stage: Stage) -> Work:
    valid = prepared.data.valid
    ordered = None if valid is None else OrderedBatches(valid.images, valid.labels)
    return Work(prepared.model, image_batches(prepared, stage), None if ordered is None else lambda: ordered)


def _cached_pieces(prepared: Prepared, stage: Stage) -> int:
    """Give how many pieces give the same for an image throughout the stage, where that saves anything."""
    solved = stage.train.optimizer == SOLVED
    if (prepared.augment is not None and stage.augment and not solved) or not can_be_cut(prepared.network):
        return 0
    row = pieces(prepared.network)
    start = head_start(row) if solved else frozen_start(row)
    if not any(True for _, module in row[:start] for _ in module.parameters()):
        return 0
    images = len(prepared.data.train) + (len(prepared.data.valid) if prepared.data.valid is not None else 0)
    fits = _feature_bytes(prepared, row[:start]) * images <= available_memory() // _SHARE
    return start if solved or fits else 0


def _feature_bytes(prepared: Prepared, row: Sequence[Piece]) -> int:
    front = nn.Sequential(prepared.model.scaling, Pieces(row))
    one = features(front, prepared.data.train.images[:1], prepared.hardware, cached=False)
    return one.numel() * one.element_size()


def _batches(prepared: Prepared, of_train: Tensor, settings: TrainSettings) -> TensorBatches:
    return TensorBatches(
        prepared.hardware.keep(of_train), prepared.data.train.labels, settings.batch_size, seed=settings.seed
    )


@torch.no_grad()
def _solved(row: Sequence[Piece], of_train: Tensor, train: ImageSet, settings: TrainSettings) -> tuple[float, int, int]:
    """Set the last layer to the solution; give its summed loss, number right and number of images."""
    from neocog.transfer.head import fit_head

    layer = row[-1][1]
    assert isinstance(layer, nn.Linear)
    flat, labels, penalty = of_train.flatten(1), train.labels, settings.l2_penalty
    # What shows the same or is of one group would, in folds of its own, speak for too small a penalty.
    groups = together(train.images.numpy(), train.groups) if penalty == "auto" else None
    head = fit_head(
        flat.numpy(), labels.numpy(), layer.out_features, l2_penalty=penalty, groups=groups, seed=settings.seed
    )
    layer.weight.copy_(torch.from_numpy(head.weight))
    if layer.bias is not None:
        layer.bias.copy_(torch.from_numpy(head.bias))
    logits = torch.from_numpy(head.logits(flat.numpy()))
    loss = float(F.cross_entropy(logits.double(), labels, reduction="sum"))
    return loss, int((logits.argmax(1) == labels).sum()), len(labels)
