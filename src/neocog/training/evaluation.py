"""Logits, loss and accuracy of a network over images, without training it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from neocog.errors import DataError, ModelError
from neocog.training.batches import Batch, as_batch, length_of
from neocog.training.hardware import Hardware

Progress = Callable[[int, int], str | None]


class StopRequested(Exception):  # noqa: N818  # not an error: it carries a listener's wish out of a pass
    """A listener asked to stop in the middle of an evaluation."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Figures:
    """Mean cross entropy and accuracy (0 to 1) over `images` images."""

    loss: float
    accuracy: float
    images: int


class OrderedBatches:
    """Images and labels in their own order, in batches that fit the caches of a CPU."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels
        self.batch_size = batch_size_for(images.shape[1:])

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.labels), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.images[part], self.labels[part]


def batch_size_for(shape: Iterable[int]) -> int:
    """Choose how many images of a shape go through a network at once: 500 of 1x28x28, fewer of larger ones."""
    numbers = 1
    for side in shape:
        numbers *= side
    return max(1, min(500, 2**21 // max(numbers, 1)))


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Any],
    hardware: Hardware,
    progress: Progress | None = None,
    *,
    dropout: bool = False,
) -> Figures:
    """Give the mean cross entropy and the accuracy over (images, labels) batches, summed in float64.

    The model is left in evaluation mode, apart from its dropout layers where `dropout` asks for them to be active.
    Raises `DataError` where there is not a single image, and `StopRequested` with the reason that `progress` gives.
    """
    loss, correct, seen = 0.0, 0, 0
    for logits, labels in logits_of(model, batches, hardware, progress, dropout=dropout):
        loss += float(F.cross_entropy(logits.double(), labels, reduction="sum"))
        correct += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
    if not seen:
        raise DataError("there is not a single image to evaluate on.")
    return Figures(loss / seen, correct / seen, seen)


@torch.no_grad()
def logits_of(
    model: nn.Module,
    batches: Iterable[Any],
    hardware: Hardware,
    progress: Progress | None = None,
    *,
    dropout: bool = False,
) -> Iterator[Batch]:
    """Give float32 logits (B, K) and labels (B,) of every batch, on the CPU.

    Raises `DataError` for batches and labels that cannot be used, `ModelError` for answers that are not logits.
    """
    model.eval()
    if dropout:
        for module in model.modules():
            if isinstance(module, _DropoutNd):
                module.train()
    total = length_of(batches) or 0
    for done, batch in enumerate(batches, start=1):
        images, labels = as_batch(batch)
        with hardware.precision():
            logits = model(hardware.images(images))
        check_logits(logits, labels)
        yield logits.float().cpu(), labels.cpu()
        reason = progress(done, total) if progress else None
        if reason:
            raise StopRequested(reason)


def check_logits(logits: Any, labels: torch.Tensor) -> None:
    """Raise `ModelError` unless `logits` are (B, K) for B labels, `DataError` unless these lie in 0 .. K - 1.

    On a GPU a label out of range would otherwise end the process's use of it.
    """
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(labels):
        got = f"a tensor {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(
            f"expected logits of shape ({len(labels)}, classes) from the network for {len(labels)} images; got {got}. "
            "End it with flatten and a linear layer with one output a class."
        )
    if not len(labels):
        return
    low, high = (int(end) for end in labels.aminmax())
    if low < 0 or high >= logits.shape[1]:
        raise DataError(
            f"the network gives {logits.shape[1]} logits, for the labels 0 to {logits.shape[1] - 1}; there is a label "
            f"{low if low < 0 else high}. Number the classes from 0, or give the network as many outputs as classes."
        )
