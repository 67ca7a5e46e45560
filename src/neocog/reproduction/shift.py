"""How well a classifier does on images that are shifted by a few pixels."""

from __future__ import annotations

from dataclasses import replace

import torch

from neocog.classifier import Classifier
from neocog.data import ImageSet
from neocog.errors import DataError

MOST = 6


def shift(images: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Shift images by whole pixels: down by `rows`, to the right by `columns`, the other way where negative.

    `images` is uint8 (N, C, H, W), and so is what comes back; every pixel keeps its value, those that leave the
    image are lost, and zeros enter. Raises `DataError` for anything but uint8 of four dimensions.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(f"expected uint8 images (N, C, H, W); got {images.dtype} of shape {tuple(images.shape)}.")
    height, width = images.shape[2:]
    moved = torch.zeros_like(images)
    to_rows, from_rows = _overlap(rows, height)
    to_columns, from_columns = _overlap(columns, width)
    moved[:, :, to_rows, to_columns] = images[:, :, from_rows, from_columns]
    return moved


def shifted_accuracies(classifier: Classifier, images: ImageSet, most: int = MOST) -> list[float]:
    """Give the accuracy (0 to 1) on images shifted by 0, 1, …, `most` pixels.

    Each is the mean over the four directions up, down, left and right.
    """
    return [
        sum(classifier.evaluate(replace(images, images=moved)).accuracy for moved in four) / len(four)
        for four in (_directions(images.images, distance) for distance in range(most + 1))
    ]


def _directions(images: torch.Tensor, distance: int) -> list[torch.Tensor]:
    if not distance:
        return [images]
    steps = ((-distance, 0), (distance, 0), (0, -distance), (0, distance))
    return [shift(images, rows, columns) for rows, columns in steps]


def _overlap(distance: int, length: int) -> tuple[slice, slice]:
    """Give where the pixels of a line go, and where they come from; both empty beyond the line's length."""
    kept = max(length - abs(distance), 0)
    low, high = slice(0, kept), slice(length - kept, length)
    return (high, low) if distance >= 0 else (low, high)
