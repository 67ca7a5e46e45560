"""Classifier: images in; labels and probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from neocog.data import DataSet, Geometry, ImageSet, Skipped, UnreadableImage, decode, load_images
from neocog.data import load as load_data
from neocog.errors import DataError, ModelError, NotationError, RunError, WeightsError
from neocog.evaluation import Evaluation, measure
from neocog.metadata import Metadata
from neocog.models import ScaledNetwork, Scaling, build
from neocog.models.reference import PythonPath, resolve
from neocog.models.weights import load_into, read_weights
from neocog.recipe import Recipe
from neocog.run import WEIGHTS, Run
from neocog.training.checkpoint import METADATA_KEY
from neocog.training.evaluation import batch_size_for
from neocog.training.hardware import Hardware, find_device

ImageLike = str | Path | Image.Image | NDArray[Any] | torch.Tensor


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one image.

    `top` holds (label, probability) pairs, most probable first; `unsure` is set where the first probability lies
    below the least confidence asked for. `source` names the file, where there is one.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    unsure: bool = False
    source: str | None = None


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
        self.hardware = Hardware(find_device(str(device)), False, False, torch.get_num_threads())
        self.network = network
        self.model = ScaledNetwork(Scaling(metadata.mean, metadata.std), network)
        self.hardware.place(self.model)
        self.model.eval()

    def __repr__(self) -> str:
        size = "x".join(map(str, self.geometry.shape))
        return f"Classifier({len(self.classes)} classes, {size} images)"

    def predict(
        self, images: ImageLike | Iterable[ImageLike], *, top: int = 3, min_confidence: float = 0.0
    ) -> Prediction | list[Prediction]:
        """Classify one image, or several.

        An image is a path, a Pillow image, a NumPy array (H, W) or (H, W, C), or a tensor (C, H, W); an array
        (N, H, W, C), a tensor (N, C, H, W) or a list are several and give a list. Numbers are uint8, or floats from
        0 to 1. Images of any size are brought into the geometry that the network was trained with. Raises
        `DataError` for anything else, and for a file that is not an image.
        """
        if not top >= 1:
            raise DataError(f"top = {top}: expected the number of labels to give, at least 1.")
        if not 0 <= min_confidence <= 1:
            raise DataError(f"min_confidence = {min_confidence}: expected a probability from 0 to 1.")
        given, single = _as_list(images)
        found: list[Prediction] = []
        size = batch_size_for(self.geometry.shape)
        for start in range(0, len(given), size):
            part = given[start : start + size]
            pixels = [decode(_as_picture(image), self.geometry) for image in part]
            names = [str(image) if isinstance(image, str | Path) else None for image in part]
            found += self._answer(pixels, names, top, min_confidence)
        return found[0] if single else found

    def stream(
        self, paths: Iterable[str | Path], *, top: int = 3, min_confidence: float = 0.0
    ) -> Iterator[Prediction | Unreadable]:
        """Classify any number of files in their order, a batch at a time; the memory stays the same throughout.

        Files that are not images come back as `Unreadable`.
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
                    self._answer([image for image, _ in good], [name for _, name in good], top, min_confidence)
                )
                for image in read_images:
                    yield image if isinstance(image, Unreadable) else next(answers)

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Give probabilities, float32 (N, K) on the CPU, of uint8 images (N, C, H, W) in the network's geometry."""
        with torch.no_grad():
            logits: torch.Tensor = self.model(self.hardware.images(images))
            return torch.softmax(logits.float(), dim=1).cpu()

    def evaluate(self, images: ImageSet | str | Path | None = None) -> Evaluation:
        """Compare the answers with the labels of an image set, or of what `images_to_evaluate` gives.

        Raises `DataError` where the images cannot be used, or their classes are others.
        """
        if not isinstance(images, ImageSet):
            images, _ = self.images_to_evaluate(images)
        return measure(self.model, images, self.hardware)

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
        recipe = Recipe.from_text(self.metadata.recipe, source="the recipe in the weights")
        own = recipe.data.source
        if source is None and not own:
            raise DataError("these weights do not say what they were trained on; name the images to evaluate on.")
        if source is not None and own not in (str(source), str(Path(source).resolve())):
            return load_images(str(source), self.geometry, self.classes, on_skip=on_skip), ""
        data = load_data(recipe.data)
        held_out = data.test if data.test is not None else data.valid
        if held_out is None or data.classes != self.classes or self._changed(data):
            raise DataError(
                f"{own} no longer holds the images that this classifier was trained on, so the part that was set "
                "aside is lost. Evaluate on images that took no part in training: give a folder of them."
            )
        part = "test images" if data.test is not None else "validation images"
        chosen_by = data.test is None or data.validation_origin == "test"
        return held_out, f"{part}, used to choose" if chosen_by else part

    def _changed(self, data: DataSet) -> bool:
        return bool(self.metadata.figures.get("train_images", len(data.train)) != len(data.train))

    def _answer(
        self, pixels: Sequence[NDArray[np.uint8]], names: Sequence[str | None], top: int, least: float
    ) -> list[Prediction]:
        if not pixels:
            return []
        values, order = self.probabilities(torch.from_numpy(np.stack(pixels))).sort(dim=1, descending=True, stable=True)
        answers = []
        for row, indices, name in zip(values[:, :top].tolist(), order[:, :top].tolist(), names, strict=True):
            pairs = tuple((self.classes[index], value) for index, value in zip(indices, row, strict=True))
            answers.append(Prediction(*pairs[0], pairs, pairs[0][1] < least, name))
        return answers


def load(
    path: Run | Path | str, *, model: str | nn.Module | None = None, device: str | torch.device = "cpu"
) -> Classifier:
    """Load a classifier from a run or a `.safetensors` file; runs no code from it.

    `model` is needed where the network is the user's own: the module with the right shapes, or the Python path that
    the file names. Raises `WeightsError` or `RunError` where the file cannot be used.
    """
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
    tensors, stored = read_weights(file)
    metadata = Metadata.parse(stored.get(METADATA_KEY), str(file))
    network = _network(metadata, model, str(file))
    load_into(network, tensors, source=str(file))
    return Classifier(network, metadata, device=device)


def _network(metadata: Metadata, model: str | nn.Module | None, source: str) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    # What the file calls the kind of its network is not to be trusted: the text itself decides.
    if isinstance(_meant(metadata.network, source), PythonPath) and model is None:
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


def _meant(network: str, source: str) -> object:
    try:
        return resolve(network)
    except (ModelError, NotationError) as error:
        raise WeightsError(f"{source}: its network cannot be built: {error}") from error


def _as_list(images: Any) -> tuple[list[Any], bool]:
    if isinstance(images, np.ndarray | torch.Tensor):
        if images.ndim == 4:
            return list(images), False
        return [images], True
    if isinstance(images, str | Path | Image.Image):
        return [images], True
    if isinstance(images, Iterable):
        return list(images), False
    raise DataError(f"expected an image (path, Pillow image, array or tensor) or several; got {type(images).__name__}.")


def _as_picture(image: Any) -> Any:
    """Bring arrays and tensors into a Pillow image; paths and Pillow images stay."""
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise DataError(f"expected an image: a path, Pillow image, array or tensor; got {type(image).__name__}.")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise DataError(
            f"expected an array (height, width) or (height, width, 3), or a tensor (channels, height, width); "
            f"got shape {tuple(image.shape)}."
        )
    return Image.fromarray(_as_bytes(array))


def _as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating) or not (array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"expected uint8 numbers from 0 to 255 or floats from 0 to 1; got {array.dtype} "
            f"from {array.min()} to {array.max()}."
        )
    return np.round(array * 255).astype(np.uint8)
