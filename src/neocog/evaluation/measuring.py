"""Running a network over images: its answers, and how long they take."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from neocog.data import ImageSet
from neocog.errors import DataError
from neocog.evaluation.answers import Evaluation
from neocog.training.evaluation import OrderedBatches, Progress, logits_of
from neocog.training.hardware import Hardware

# One image at a time: enough passes for a median, and no more time than a pass over a small data set.
_LEAST, _MOST, _SECONDS = 5, 50, 0.3


def measure(
    model: nn.Module,
    image_set: ImageSet,
    hardware: Hardware,
    progress: Progress | None = None,
    *,
    temperature: float = 1.0,
) -> Evaluation:
    """Run a network, scaling included, over an image set and gather its answers.

    Raises `DataError` where the set is empty.
    """
    batches = OrderedBatches(image_set.images, image_set.labels)
    begun = time.perf_counter()
    found = list(logits_of(model, batches, hardware, progress))
    seconds = time.perf_counter() - begun
    if not found:
        raise DataError("there is not a single image to evaluate on.")
    logits = torch.cat([part for part, _ in found]).double()
    labels = torch.cat([part for _, part in found])
    return Evaluation(image_set.classes, labels.numpy(), logits.numpy(), temperature, seconds)


@torch.no_grad()
def milliseconds_alone(model: nn.Module, image_set: ImageSet, hardware: Hardware) -> float:
    """Give the median time in ms that one image of the set takes by itself, from pixels to logits."""
    model.eval()
    times = list[float]()
    begun = time.perf_counter()
    while len(times) <= _LEAST or (len(times) <= _MOST and time.perf_counter() - begun < _SECONDS):
        place = len(times) % len(image_set)
        image = image_set.images[place : place + 1]
        start = time.perf_counter()
        with hardware.precision():
            # the copy to the CPU waits for a GPU
            model(hardware.images(image)).cpu()
        times.append(time.perf_counter() - start)
    # the first one prepares kernels and memory
    return 1000 * statistics.median(times[1:])
