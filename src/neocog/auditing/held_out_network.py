"""What small networks say of images that took no part in their training, for sets without photographs' features."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from neocog.data.source import Int64, Progress, UInt8
from neocog.models import ScaledNetwork, Scaling, build
from neocog.recipe import TrainSettings
from neocog.training.evaluation import OrderedBatches, logits_of
from neocog.training.fitting import fit
from neocog.training.hardware import Hardware, hardware, resolve

Float64 = npt.NDArray[np.float64]

# The network of the recipe mnist-quick.
_NETWORK = """
conv 16 3x3 same nobias | maxpool 2 | batchnorm | relu
conv 32 3x3 same nobias | maxpool 2 | batchnorm | relu
flatten | linear classes
"""
_BATCH = 128
# Images seen in a training: 2 epochs of a large set, more of a small one.
_SEEN = 60_000
_LEAST_EPOCHS, _MOST_EPOCHS = 2, 20


def held_out_probabilities(
    images: UInt8,
    labels: Int64,
    num_classes: int,
    parts: list[tuple[Int64, Int64]],
    progress: Progress | None = None,
) -> Float64:
    """Give probabilities (N, K) of images (N, C, H, W): for each of `parts`, (training rows, other rows), a network of
    its own is trained on the first and asked about the others. The same input gives the same probabilities."""
    probabilities = np.zeros((len(images), num_classes))
    pixels, targets = torch.from_numpy(images), torch.from_numpy(labels)
    for number, (train, rest) in enumerate(parts):
        network = _trained(pixels[train], targets[train], num_classes, seed=number)
        place = _place(network)
        batches = OrderedBatches(pixels[rest], targets[rest])
        logits = torch.cat([found for found, _ in logits_of(network, batches, place)])
        probabilities[rest] = logits.double().softmax(1).numpy()
        if progress is not None:
            progress("training small networks", number + 1, len(parts))
    return probabilities


def _trained(pixels: torch.Tensor, targets: torch.Tensor, num_classes: int, seed: int) -> ScaledNetwork:
    sample = pixels[:: max(1, len(pixels) // 5_000)].float() / 255
    mean, std = float(sample.mean()), max(float(sample.std()), 1e-3)
    shape = (int(pixels.shape[1]), int(pixels.shape[2]), int(pixels.shape[3]))
    network = ScaledNetwork(Scaling((mean,), (std,)), build(_NETWORK, shape, num_classes, seed=seed))
    epochs = min(_MOST_EPOCHS, max(_LEAST_EPOCHS, math.ceil(_SEEN / len(pixels))))
    fit(
        network, (pixels, targets), progress=False, epochs=epochs, batch_size=min(_BATCH, max(8, len(pixels) // 8)),
        optimizer="adamw", lr=1e-2, schedule="onecycle", seed=seed,
    )  # fmt: skip
    return network


def _place(network: ScaledNetwork) -> Hardware:
    settings = TrainSettings()
    chosen = {key.removeprefix("train."): value for key, value in resolve(settings, network).items()}
    return hardware(settings.model_copy(update=chosen))
