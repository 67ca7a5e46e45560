"""The training loss of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from neocog.errors import RecipeError
from neocog.recipe import TrainSettings

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def build_loss(settings: TrainSettings, class_counts: Sequence[int] | None, device: torch.device) -> Loss:
    """Build the loss of logits (B, K) and labels (B,): cross entropy, or the MAP criterion (LeCun et al. 1998, eq. 9).

    Cross entropy has the settings' label smoothing, and takes labels that are probabilities of the classes too, float
    (B, K): a class weight counts by its share of the label. MAP takes the logits for minus the penalties y of the
    classes and is the mean of y_label + log(exp(-j) + sum of exp(-y)): cross entropy with one more class, "none of
    them", whose penalty is always j; it refuses probabilities with `RecipeError`. `balanced` weighs each class by
    images / (classes * images of the class), as scikit-learn does; `class_counts` is None where nobody has counted.
    Raises `RecipeError` where the number of weights is not that of the classes.
    """
    weights = _weights(settings, class_counts)
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    smoothing = settings.label_smoothing
    if settings.loss == "map":
        return _map_criterion(settings.map_constant, weight)

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        _check_number(weight, logits)
        mean = F.cross_entropy(logits.float(), labels, weight=weight, label_smoothing=smoothing)
        if weight is None or not labels.is_floating_point():
            return mean
        # PyTorch divides by the number of images here, and by the sum of their weights where labels are numbers.
        return mean * (len(labels) / (labels * weight).sum())

    return loss


def _map_criterion(constant: float, weight: torch.Tensor | None) -> Loss:
    # No image is ever labelled "none of them", so any weight will do for it.
    weights = None if weight is None else torch.cat([weight, weight.new_ones(1)])

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        _check_number(weight, logits)
        if labels.is_floating_point():
            raise RecipeError('loss = "map" needs one class for each image: set augment.mixup and augment.cutmix to 0.')
        none_of_them = logits.new_full((len(logits), 1), -constant, dtype=torch.float32)
        return F.cross_entropy(torch.cat([logits.float(), none_of_them], 1), labels, weight=weights)

    return loss


def _check_number(weight: torch.Tensor | None, logits: torch.Tensor) -> None:
    if weight is not None and len(weight) != logits.shape[1]:
        raise RecipeError(f"class_weights has {len(weight)} weights for {logits.shape[1]} classes; give one for each.")


def _weights(settings: TrainSettings, class_counts: Sequence[int] | None) -> list[float] | None:
    if settings.class_weights == "none":
        return None
    if class_counts is None:
        if settings.class_weights == "balanced":
            raise RecipeError(
                'class_weights = "balanced" needs the class counts; give fit(loss=...) or a list of weights.'
            )
        return list(settings.class_weights)
    if settings.class_weights == "balanced":
        return [sum(class_counts) / (len(class_counts) * count) for count in class_counts]
    if len(settings.class_weights) != len(class_counts):
        raise RecipeError(
            f"train.class_weights has {len(settings.class_weights)} weights for {len(class_counts)} classes; "
            "give one for each, in the order of the labels."
        )
    return list(settings.class_weights)
