"""ImageSet and DataSet: labelled uint8 images, and the parts of a data set made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from neocog.data.file_names import chosen
from neocog.data.geometry import Geometry
from neocog.errors import DataError

Indices = Sequence[int] | np.ndarray | torch.Tensor


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, indexed as tensors.

    `images` is uint8 (N, C, H, W), in memory or memory-mapped from a file (never write to it); `labels` is
    int64 (N,), each an index into `classes`; `sources`, where there are files, names the file of each image; `groups`,
    where known, names what it belongs together with.
    Raises `DataError` where these do not fit together.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    sources: Sequence[str] | None = None
    groups: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                "images are a uint8 tensor of shape (N, C, H, W) with values from 0 to 255; "
                f"got {self.images.dtype} of shape {tuple(self.images.shape)}."
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels are an int64 tensor with one number for each of the {len(self.images)} images; "
                f"got {self.labels.dtype} of shape {tuple(self.labels.shape)}."
            )
        for what, names in (("sources", self.sources), ("groups", self.groups)):
            if names is not None and len(names) != len(self.images):
                raise DataError(f"{len(self.images)} images, but {len(names)} {what}: give one for each image.")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise DataError(
                f"labels run from 0 to {len(self.classes) - 1} for {len(self.classes)} classes; "
                f"got values from {int(self.labels.min())} to {int(self.labels.max())}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Indices) -> ImageSet:
        """The images at `indices`, in that order, in memory. `IndexError` where one is out of range."""
        index = torch.as_tensor(np.asarray(indices, dtype=np.int64))
        sources = None if self.sources is None else chosen(self.sources, index.numpy())
        groups = None if self.groups is None else chosen(self.groups, index.numpy())
        return replace(self, images=self.images[index], labels=self.labels[index], sources=sources, groups=groups)

    def class_counts(self) -> torch.Tensor:
        """Number of images of each class: int64 (len(classes),)."""
        return torch.bincount(self.labels, minlength=len(self.classes))


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why; `on_list` where the user's own skip list names it."""

    path: str
    reason: str
    on_list: bool = False


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set ready for training: its parts share classes and geometry.

    `validation_origin` says where `valid` comes from: "split" (set aside from the training images), "folder"
    (the data set's own) or "test" (the test images themselves, as some published procedures do). `skipped`
    lists the files that were left out; `notes` are sentences that a user should read.
    """

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    valid: ImageSet | None
    test: ImageSet | None
    geometry: Geometry
    validation_origin: Literal["split", "folder", "test"]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def held_out(self, *, validation_chooses: bool = True) -> tuple[ImageSet | None, str]:
        """The images to judge by, and what they are in words: the test images, else the validation images, else None.

        The words say so where these images were used to choose the weights; `validation_chooses` says whether the
        training chooses by its validation images at all.
        """
        part = "test images" if self.test is not None else "validation images"
        chosen_by = validation_chooses and (self.test is None or self.validation_origin == "test")
        images = self.test if self.test is not None else self.valid
        return images, f"{part}, used to choose" if chosen_by else part
