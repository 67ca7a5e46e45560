"""The training loss of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from neocog.errors import RecipeError
from neocog.recipe import TrainSettings


def build_loss(
    settings: TrainSettings, class_counts: Sequence[int], device: torch.device
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Build cross entropy on logits with the settings' label smoothing and class weights.

    `balanced` weighs each class by images / (classes * images of the class), as scikit-learn does. Raises
    `RecipeError` where the number of weights is not that of the classes.
    """
    weights = _weights(settings, class_counts)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    smoothing = settings.label_smoothing

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits.float(), labels, weight=weight, label_smoothing=smoothing)

    return loss


def _weights(settings: TrainSettings, class_counts: Sequence[int]) -> list[float] | None:
    if settings.class_weights == "none":
        return None
    if settings.class_weights == "balanced":
        return [sum(class_counts) / (len(class_counts) * count) for count in class_counts]
    if len(settings.class_weights) != len(class_counts):
        raise RecipeError(
            f"train.class_weights has {len(settings.class_weights)} weights for {len(class_counts)} classes; "
            "give one for each, in the order of the labels."
        )
    return list(settings.class_weights)
