"""Classifier: images in; labels and probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neocog.data import Geometry, ImageSet, Skipped, UnreadableImage, decode
from neocog.errors import DataError, ModelError, NotationError, RunError, WeightsError
from neocog.evaluation import Evaluation, Temperature, check_temperature, fit_temperature, measure, usable
from neocog.evaluation.flips import WithFlips
from neocog.evaluation.measuring import milliseconds_alone
from neocog.held_out import images_to_evaluate, validation_images
from neocog.image_input import ImageLike as ImageLike
from neocog.image_input import as_list, as_picture
from neocog.metadata import Metadata
from neocog.models import ScaledNetwork, Scaling, build
from neocog.models.reference import PythonPath, resolve_stored
from neocog.models.weights import load_into, read_weights
from neocog.recipe import TrainSettings
from neocog.run import WEIGHTS, Run
from neocog.training.checkpoint import METADATA_KEY
from neocog.training.evaluation import batch_size_for
from neocog.training.hardware import Hardware, find_device, resolve

if TYPE_CHECKING:
    from neocog.explain.attribution import Method
    from neocog.explain.explanation import Explanation


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one image.

    `top` holds (label, probability) pairs, most probable first; `unsure` is set where the first probability lies
    below the least confidence asked for. `source` names the file, where there is one; `flips` says that the
    probabilities are means over the image and its mirror image.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    unsure: bool = False
    source: str | None = None
    flips: bool = False


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read as an image, and why."""

    source: str
    reason: str


class Classifier:
    """A trained network with its labels and preprocessing; get one with `neocog.load` or `Run.classifier`."""

    def __init__(self, network: nn.Module, metadata: Metadata, *, device: str | torch.device = "cpu") -> None:
        self.metadata = metadata
        self.classes = metadata.classes
        self.geometry = Geometry(metadata.image_size, metadata.channels, metadata.resize)  # type: ignore[arg-type]
        self.hardware = _hardware(network, find_device(str(device)))
        self.network = network
        self.model = ScaledNetwork(Scaling(metadata.mean, metadata.std), network)
        self.hardware.place(self.model)
        self.model.eval()

    def __repr__(self) -> str:
        size = "x".join(map(str, self.geometry.shape))
        return f"Classifier({len(self.classes)} classes, {size} images)"

    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        top: int = 3,
        min_confidence: float = 0.0,
        flips: bool = False,
    ) -> Prediction | list[Prediction]:
        """Classify one image, or several.

        An image is a path, a Pillow image, a NumPy array (H, W) or (H, W, C), or a tensor (C, H, W); an array
        (N, H, W, C), a tensor (N, C, H, W) or a list are several and give a list. Numbers are uint8, or floats from
        0 to 1. Images of any size are brought into the geometry that the network was trained with. With `flips` the
        answer is the mean of the probabilities of each image and its mirror image, left to right, in twice the time;
        it does not fit images in which left and right mean something. Raises `DataError` for anything else, and for a
        file that is not an image.
        """
        if not top >= 1:
            raise DataError(f"top = {top}: expected the number of labels to give, at least 1.")
        if not 0 <= min_confidence <= 1:
            raise DataError(f"min_confidence = {min_confidence}: expected a probability from 0 to 1.")
        given, single = as_list(images)
        found: list[Prediction] = []
        size = batch_size_for(self.geometry.shape)
        for start in range(0, len(given), size):
            part = given[start : start + size]
            pixels = [decode(as_picture(image), self.geometry) for image in part]
            names = [str(image) if isinstance(image, str | Path) else None for image in part]
            found += self._answer(pixels, names, top, min_confidence, flips)
        return found[0] if single else found

    def stream(
        self, paths: Iterable[str | Path], *, top: int = 3, min_confidence: float = 0.0, flips: bool = False
    ) -> Iterator[Prediction | Unreadable]:
        """Classify any number of files in their order, a batch at a time; the memory stays the same throughout.

        Files that are not images come back as `Unreadable`. `flips` is that of `predict`.
        """
        waiting = iter(paths)
        size = min(batch_size_for(self.geometry.shape), 256)

        def read(path: str | Path) -> NDArray[np.uint8] | Unreadable:
            try:
                return decode(Path(path), self.geometry)
            except UnreadableImage as error:
                return Unreadable(str(path), error.reason)

        with ThreadPoolExecutor(max(torch.get_num_threads(), 1)) as pool:
            while batch := list(islice(waiting, size)):
                read_images = list(pool.map(read, batch))
                good = [
                    (image, str(path))
                    for image, path in zip(read_images, batch, strict=True)
                    if not isinstance(image, Unreadable)
                ]
                answers = iter(
                    self._answer([image for image, _ in good], [name for _, name in good], top, min_confidence, flips)
                )
                for image in read_images:
                    yield image if isinstance(image, Unreadable) else next(answers)

    def probabilities(self, images: torch.Tensor, *, flips: bool = False) -> torch.Tensor:
        """Give probabilities, float32 (N, K) on the CPU, of uint8 images (N, C, H, W) in the network's geometry.

        They are the softmax of the logits divided by the temperature of the metadata; `flips` is that of `predict`.
        """
        return self._softmax(self._logits(images, flips))

    def explain(
        self,
        image: ImageLike,
        *,
        layer: str | None = None,
        channel: int | None = None,
        at: int | Sequence[int] | None = None,
        method: Method | None = None,
        target: str | int | None = None,
    ) -> Explanation:
        """Explain what the network makes of one image, in any form that `predict` takes.

        `layer`, `channel` and `at` (row, column; or the number of a unit) say which of its values to work out, `method`
        ("gradcam", "occlusion", "integrated-gradients") and `target`, a label, whose pixels to look for; what is left
        out is chosen as `neocog.explain.explain` says. Raises `DataError` for the image and the label, `ModelError` for
        a layer, a place or a method that does not exist.
        """
        from neocog.explain.explanation import explain

        given, single = as_list(image)
        if not single:
            raise DataError(f"explain takes one image at a time; got {len(given)} of them.")
        return explain(
            self.model,
            torch.from_numpy(decode(as_picture(image), self.geometry).copy()),
            layer=layer,
            channel=channel,
            at=at,
            method=method,
            target=target,
            classes=self.classes,
            temperature=self.metadata.temperature,
            source=str(image) if isinstance(image, str | Path) else "image",
        )

    def evaluate(self, images: ImageSet | str | Path | None = None, *, flips: bool = False) -> Evaluation:
        """Compare the answers with the labels of an image set, or of what `images_to_evaluate` gives.

        `flips` is that of `predict`; the logits of the result are those that give the mean probabilities. Raises
        `DataError` where the images cannot be used, or their classes are others; `ModelError` where the network gives
        numbers that are not finite.
        """
        if not isinstance(images, ImageSet):
            images, _ = self.images_to_evaluate(images)
        model = self._answering(flips)
        found = measure(model, images, self.hardware, temperature=self.metadata.temperature)
        bad = int((~np.isfinite(found.logits)).any(axis=1).sum())
        if bad:
            raise ModelError(
                f"the network gives numbers that are not finite for {bad:,} of {len(images):,} images, so nothing can "
                "be said of its answers. Its training went astray, or its weights are damaged: train anew."
            )
        return replace(found, milliseconds=milliseconds_alone(model, images, self.hardware))

    def images_to_evaluate(
        self, source: str | Path | None = None, *, on_skip: Callable[[Skipped], None] | None = None
    ) -> tuple[ImageSet, str]:
        """Load labelled images to evaluate on, and say in words which part of the source they are.

        `source` is a data set by name, a folder or a CSV file, of which the test part is taken where there is one,
        else the validation part, else all. Left out, or where it is what the classifier was trained on, only images
        that the weights were not fitted to are taken: the test part, else the validation part of the recipe.
        `on_skip` hears of each file of another source that is left out because it cannot be read. Raises
        `DataError` where the images cannot be used, have other classes, or are no longer those of the training.
        """
        return images_to_evaluate(self.metadata, self.geometry, source, on_skip=on_skip)

    def fit_temperature(self) -> Temperature:
        """Fit a temperature to the validation images of the training, whatever the temperature now; nothing is changed.

        Raises `DataError` where these images are not known or no longer there.
        """
        images, _ = validation_images(self.metadata)
        found = measure(self.model, images, self.hardware)
        return fit_temperature(found.logits, found.labels)

    def with_temperature(self, temperature: float) -> Classifier:
        """Give a classifier of the same network whose probabilities are the softmax of logits / `temperature`.

        Its answers are the same, and so is their order. Raises `DataError` for a number that is not positive or not
        finite.
        """
        check_temperature(temperature)
        metadata = replace(self.metadata, temperature=float(temperature))
        return Classifier(self.network, metadata, device=self.hardware.device)

    def calibrated(self) -> Classifier:
        """Give a classifier of the same network with the temperature that `fit_temperature` finds.

        To store it with the weights, see `neocog.calibrating.calibrate`. Raises `DataError` where none can be fitted.
        """
        return self.with_temperature(usable(self.fit_temperature()).value)

    def _softmax(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits / self.metadata.temperature, dim=1)

    def _answering(self, flips: bool) -> nn.Module:
        return WithFlips(self.model, self.metadata.temperature) if flips else self.model

    def _logits(self, images: torch.Tensor, flips: bool) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = self._answering(flips)(self.hardware.images(images))
            return logits.float().cpu()

    def _answer(
        self, pixels: Sequence[NDArray[np.uint8]], names: Sequence[str | None], top: int, least: float, flips: bool
    ) -> list[Prediction]:
        if not pixels:
            return []
        logits = self._logits(torch.from_numpy(np.stack(pixels)), flips)
        # by the logits: two of them may round to the same probability, at one temperature and not at another
        order = logits.argsort(dim=1, descending=True, stable=True)[:, :top]
        values = self._softmax(logits).gather(1, order)
        answers = []
        for row, indices, name in zip(values.tolist(), order.tolist(), names, strict=True):
            pairs = tuple((self.classes[index], value) for index, value in zip(indices, row, strict=True))
            answers.append(Prediction(*pairs[0], pairs, pairs[0][1] < least, name, flips))
        return answers


def load(
    path: Run | Path | str, *, model: str | nn.Module | None = None, device: str | torch.device = "cpu"
) -> Classifier:
    """Load a classifier from a run or a `.safetensors` file; runs no code from it.

    `model` is needed where the network is the user's own: the module with the right shapes, or the Python path that
    the file names. Raises `WeightsError` or `RunError` where the file cannot be used.
    """
    file = weights_file(path)
    tensors, stored = read_weights(file)
    metadata = Metadata.parse(stored.get(METADATA_KEY), str(file))
    network = _network(metadata, model, str(file))
    load_into(network, tensors, source=str(file))
    return Classifier(network, metadata, device=device)


def metadata_of(path: Run | Path | str) -> Metadata:
    """Read what stands beside the weights of a run or a `.safetensors` file, without building the network.

    Raises `WeightsError` or `RunError` where the file cannot be used.
    """
    file = weights_file(path)
    _, stored = read_weights(file)
    return Metadata.parse(stored.get(METADATA_KEY), str(file))


def weights_file(path: Run | Path | str) -> Path:
    """Give the weights of a run, or the file itself; raises `RunError` where there is neither."""
    file = path.path if isinstance(path, Run) else Path(path)
    if file.is_dir():
        run = Run(file)
        file = file / WEIGHTS
        if not file.is_file():
            raise RunError(
                f"{run.path} has no {WEIGHTS} yet: no epoch is complete. Go on with: neocog resume {run.path}"
            )
    elif not file.is_file():
        raise RunError(f"there is no run or weights file {str(file)!r}: expected a run folder or a .safetensors file.")
    return file


def _hardware(network: nn.Module, device: torch.device) -> Hardware:
    """Give the layout in which a training would run this network; answers are in float32 always."""
    chosen = resolve(TrainSettings(device=str(device), precision="float32"), network)
    return Hardware(device, False, chosen["train.memory_format"] == "channels_last", torch.get_num_threads())


def _network(metadata: Metadata, model: str | nn.Module | None, source: str) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    # What the file calls the kind of its network is not to be trusted: the text itself decides.
    if isinstance(resolve_stored(metadata.network, source), PythonPath) and model is None:
        raise WeightsError(
            f"{source} needs code that is never imported by itself: {metadata.network}. If you trust it, name it: "
            f"model={metadata.network!r} in Python, --model {metadata.network} on the command line."
        )
    shape = (metadata.channels, *metadata.image_size)
    try:
        # The initial weights are replaced at once; the seed leaves the user's random generator as it was.
        return build(model or metadata.network, shape, len(metadata.classes), seed=0)
    except (ModelError, NotationError) as error:
        raise WeightsError(f"{source}: its network cannot be built: {error}") from error
