"""The stages of transfer learning for any network that can be cut: which layers are frozen in which of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from neocog.models.pieces import Piece, head_start, pieces
from neocog.settings import StageSettings

# Of the layers before the head, the part that counts as the last ones.
_LAST = 4


def extraction_stages(network: nn.Module) -> list[StageSettings]:
    """Give the one stage of feature extraction: all but the head is frozen, and the head is solved."""
    row = pieces(network)
    frozen = _frozen(row[: head_start(row)], row)
    return [StageSettings(name="head", freeze=frozen, augment=False, train={"optimizer": "logistic-regression"})]


def last_block_stages(network: nn.Module, *, epochs: int = 5, lr: float = 5e-4) -> list[StageSettings]:
    """Give the stages of fine-tuning: the head, then it and the last quarter of the layers, without augmentation.

    So the layers before them run only once over each image.
    """
    row = pieces(network)
    weighty = [place for place in range(head_start(row)) if _begins(row[place][1])]
    first = weighty[len(weighty) - max(1, len(weighty) // _LAST)] if weighty else 0
    train = {"epochs": epochs, "lr": lr, "layer_lr_decay": 0.7}
    last = StageSettings(name="last blocks", freeze=_frozen(row[:first], row), augment=False, train=train)
    return [*extraction_stages(network), last]


def all_layer_stages(network: nn.Module, *, epochs: int = 3, lr: float = 1e-4) -> list[StageSettings]:
    """Give the stages of fine-tuning to the end: head, last layers, then every layer at smaller steps, augmented."""
    train = {"epochs": epochs, "lr": lr, "layer_lr_decay": 0.8}
    return [*last_block_stages(network), StageSettings(name="all", train=train)]


def _begins(module: nn.Module) -> bool:
    """Whether a piece counts as a layer of its own; a batch norm belongs to the layer before it."""
    return any(True for _ in module.parameters()) and not isinstance(module, nn.modules.batchnorm._BatchNorm)


def _frozen(front: Sequence[Piece], row: Sequence[Piece]) -> list[str]:
    """Give the fewest names that freeze the pieces of `front` and nothing else of `row`."""
    inside = [name for name, module in front if any(True for _ in module.parameters())]
    outside = {name.partition(".")[0] for name, _ in row[len(front) :]}
    names = [name if name.partition(".")[0] in outside else name.partition(".")[0] for name in inside]
    return list(dict.fromkeys(names))
