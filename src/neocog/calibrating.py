"""Calibrating a stored classifier: its temperature is fitted to its own validation images and kept with its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from neocog.classifier import Classifier, load, weights_file
from neocog.evaluation import Temperature, check_temperature, fit_temperature, measure, usable
from neocog.held_out import validation_images
from neocog.metadata import Metadata
from neocog.models.weights import read_weights
from neocog.run import Run
from neocog.training.checkpoint import METADATA_KEY, save_tensors


@dataclass(frozen=True)
class Calibrated:
    """A classifier with its new temperature, how that was found, and the file that holds it now.

    `note` says what is to be known of the images of the fit; it is empty for images that were set aside for validation.
    """

    classifier: Classifier
    fit: Temperature
    path: Path
    note: str


def calibrate(
    path: Run | Path | str, *, model: str | nn.Module | None = None, device: str | torch.device = "cpu"
) -> Calibrated:
    """Fit the temperature of a run or a `.safetensors` file to the validation images of its training, and store it.

    `model` and `device` are those of `neocog.load`. The file is written whole or not at all, its tensors stay as they
    are, and so do the answers: the probabilities alone change. Raises `DataError` where the validation images are
    not known or no longer there, or where no temperature fits them; then nothing is written.
    """
    classifier = load(path, model=model, device=device)
    images, note = validation_images(classifier.metadata)
    found = measure(classifier.model, images, classifier.hardware)
    fit = usable(fit_temperature(found.logits, found.labels))
    file = store_temperature(path, fit.value)
    return Calibrated(classifier.with_temperature(fit.value), fit, file, note)


def store_temperature(path: Run | Path | str, temperature: float) -> Path:
    """Write another temperature beside the weights of a run or a `.safetensors` file; 1 undoes a calibration.

    Gives the path of the file. Raises `DataError` for a number that is not positive or not finite, `WeightsError` or
    `RunError` where the file cannot be used, `NeocogError` where it cannot be written.
    """
    check_temperature(temperature)
    file = weights_file(path)
    tensors, stored = read_weights(file)
    if Metadata.parse(stored.get(METADATA_KEY), str(file)).temperature == temperature:
        return file
    # keys that this version does not know stay where they are
    values = json.loads(stored[METADATA_KEY]) | {"temperature": float(temperature)}
    save_tensors(file, tensors, values)
    return file
