"""Batches of images that lie in memory, keyed by (seed, stage, epoch, step)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Protocol

import torch

from neocog.errors import DataError
from neocog.training.keys import generator, key

Batch = tuple[torch.Tensor, torch.Tensor]
Augment = Callable[..., torch.Tensor]
Mix = Callable[..., Batch]


class Batches(Protocol):
    """What the loop trains on: `steps` batches an epoch, from any of them on."""

    steps: int

    def epoch(self, stage: int, epoch: int, start: int) -> Iterator[Batch]:
        """Give the batches `start`, `start + 1`, … of the epoch as (images, labels)."""
        ...


class TensorBatches:
    """Images and labels in memory, shuffled anew each epoch, augmented each step; no per-item Python.

    `images` is a tensor (N, C, H, W), uint8 or float, or features (N, D); `labels` int64 (N,). The order of an epoch is
    a function of (seed, stage, epoch), the augmentation of a step of (seed, stage, epoch, step). `mix`, such as
    `neocog.augment.Mixing`, comes after `augment` and makes of a batch's images and labels other images and
    probabilities of the classes, float32 (B, K). The last batch of an epoch may be smaller; a single image that is left
    over joins the batch before, since batch norm cannot do with one.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        *,
        seed: int,
        augment: Augment | None = None,
        mix: Mix | None = None,
    ) -> None:
        self.images, self.labels = images, class_numbers(labels)
        self.batch_size, self.seed, self.augment, self.mix = batch_size, seed, augment, mix
        alone = len(labels) > batch_size and len(labels) % batch_size == 1
        self.steps = -(-len(labels) // batch_size) - alone

    def epoch(self, stage: int, epoch: int, start: int) -> Iterator[Batch]:
        """Give the batches of an epoch from step `start` on."""
        order = torch.randperm(len(self.labels), generator=generator(self.seed, "order", stage, epoch))
        for step in range(start, self.steps):
            end = (step + 1) * self.batch_size if step + 1 < self.steps else len(order)
            chosen = order[step * self.batch_size : end]
            images = self.images.index_select(0, chosen.to(self.images.device))
            labels = self.labels.index_select(0, chosen.to(self.labels.device))
            if self.augment is not None:
                images = self.augment(images, seed=key(self.seed, "augment", stage, epoch, step))
            if self.mix is not None:
                images, labels = self.mix(images, labels, seed=key(self.seed, "mix", stage, epoch, step))
            yield images, labels


def most_probable(labels: torch.Tensor) -> torch.Tensor:
    """Give int64 (B,) of labels that are class numbers (B,), which stay, or probabilities (B, K), as `mix` makes."""
    return labels.argmax(1) if labels.ndim == 2 else labels


class LoaderBatches:
    """A user's own batches, such as a torch DataLoader: anything sized that yields (images, labels).

    Their order is the loader's own affair: one that shuffles draws from the generator that it was given.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        steps = length_of(loader)
        if steps is None:
            raise DataError(
                f"expected batches with a length, such as a torch DataLoader or a list of (images, labels); "
                f"got {type(loader).__name__}. Wrap a generator in list(...)."
            )
        if not steps:
            raise DataError("there is not a single batch to train on: expected at least one (images, labels).")
        self.loader, self.steps = loader, steps

    def epoch(self, stage: int, epoch: int, start: int) -> Iterator[Batch]:
        """Give the loader's batches; those before `start` are drawn and passed over."""
        for step, batch in enumerate(self.loader):
            if step >= start:
                yield as_batch(batch)


def as_batch(batch: Any) -> Batch:
    """Check and give a batch as (images, labels) tensors; raises `DataError` for anything else."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError(
            f"expected batches of (images, labels), got {type(batch).__name__}. Give a DataLoader, a list of such "
            "pairs, or all images and labels as one pair of tensors (images, labels)."
        )
    try:
        images, labels = (item if isinstance(item, torch.Tensor) else torch.as_tensor(item) for item in batch)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"a batch must hold tensors, or what torch.as_tensor makes one of: {error}.") from error
    labels = class_numbers(labels)
    if not images.ndim or len(images) != len(labels):
        raise DataError(
            f"expected one label for each image; a batch has images of shape {tuple(images.shape)} and "
            f"{len(labels)} labels."
        )
    return images, labels


def class_numbers(labels: torch.Tensor) -> torch.Tensor:
    """Give labels as int64 (B,); raises `DataError` for anything but one whole number for each image."""
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise DataError(
            "expected labels of shape (B,), the number of its class for each image; "
            f"got {labels.dtype} of shape {tuple(labels.shape)}. Of one-hot labels give labels.argmax(1)."
        )
    return labels.long()


def length_of(batches: Iterable[Any]) -> int | None:
    """Give the number of batches where it is known; a DataLoader over an iterable data set does not know it."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:
        return None
