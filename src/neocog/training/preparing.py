"""From a recipe to images, network and settings in memory, with every automatic choice made explicit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neocog import __version__
from neocog.data import DataSet, ImageSet, load
from neocog.data.registry import find
from neocog.errors import RecipeError
from neocog.metadata import Metadata
from neocog.models import NotationNetwork, ScaledNetwork, Scaling, build
from neocog.models.catalogue import Entry
from neocog.models.pretrained import IMAGENET, load_pretrained, local_weights
from neocog.models.published import preprocessing
from neocog.models.reference import PythonPath
from neocog.models.reference import resolve as resolve_network
from neocog.models.weights import read_weights
from neocog.recipe import Recipe
from neocog.training.batches import Augment, Mix
from neocog.training.checkpoint import METADATA_KEY
from neocog.training.hardware import Hardware, hardware, resolve
from neocog.training.keys import key
from neocog.training.losses import build_loss
from neocog.training.stage_work import check_solvable
from neocog.training.state import check_stages
from neocog.transfer.trunk import transfer_size

_IMAGE_KEYS = ("image_size", "channels", "mean", "std")

DataProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Prepared:
    """All that a recipe stands for, in memory: nothing of it is decided any more."""

    recipe: Recipe
    data: DataSet
    network: nn.Module
    model: ScaledNetwork
    hardware: Hardware
    augment: Augment | None
    mix: Mix | None = None


def prepare(
    recipe: Recipe,
    module: nn.Module | None = None,
    progress: DataProgress | None = None,
    *,
    data: DataSet | None = None,
    trained: bool = True,
) -> Prepared:
    """Read the images, build the network and make every automatic choice explicit in the recipe.

    `data`, where given, are the recipe's images, read already. With `trained` false the weights that the recipe begins
    with are not looked for: a checkpoint brings them. Whatever is wrong with any stage is found here, before a folder
    is made or a step is done.
    """
    recipe = with_published_images(recipe)
    data = data or load(recipe.data, progress=progress)
    geometry = data.geometry
    wanted = recipe.model.num_classes
    if wanted is not None and wanted != len(data.classes):
        raise RecipeError(
            f"model.num_classes = {wanted}, but {data.name} has {len(data.classes)} classes: leave it out."
        )
    mean, std = _statistics(recipe, data.train)
    recipe = recipe.with_values(
        {
            "data.source": _lasting(recipe.data.source),
            "data.skip_list": recipe.data.skip_list and str(Path(recipe.data.skip_list).expanduser().resolve()),
            "model.pretrained": _lasting_weights(recipe.model.pretrained),
            "data.image_size": geometry.image_size,
            "data.channels": geometry.channels,
            "data.mean": mean,
            "data.std": std,
        }
    )
    network = (
        module
        if module is not None
        else build(
            recipe.model.network,
            geometry.shape,
            len(data.classes),
            init=recipe.model.init,
            seed=key(recipe.train.seed, "initial weights"),
        )
    )
    if recipe.model.pretrained and trained:
        load_pretrained(network, _bare_name(recipe), recipe.model.pretrained, progress=progress)
    recipe = recipe.with_values(resolve(recipe.train, network))
    check_stages(network, recipe.stages())
    check_solvable(network, recipe.stages())
    for stage in recipe.stages():
        build_loss(stage.train, data.train.class_counts().tolist(), torch.device("cpu"))
    model = ScaledNetwork(Scaling(mean, std), network)
    place = hardware(recipe.train)
    place.place(model)
    return Prepared(recipe, data, network, model, place, *_augmentation(recipe, geometry.channels, len(data.classes)))


def _augmentation(recipe: Recipe, channels: int, num_classes: int) -> tuple[Augment | None, Mix | None]:
    settings = recipe.augment
    if not settings.active:
        return None, None
    # kornia takes half a second to import, which trainings without augmentation need not wait for.
    from neocog.augment import Augmentation, Mixing

    mixes = settings.mixup or settings.cutmix
    return Augmentation(settings, channels=channels), Mixing(settings, num_classes) if mixes else None


def with_published_images(recipe: Recipe) -> Recipe:
    """Let a recipe that begins with trained weights take images as these expect them, where it does not say."""
    given = recipe.data.model_dump()
    if not recipe.model.pretrained or all(given[key] is not None for key in _IMAGE_KEYS):
        return recipe
    usual = _published(recipe) if recipe.model.pretrained == IMAGENET else _of_run(recipe.model.pretrained)
    if usual and len({recipe.data.channels, usual["channels"]} - {None}) == 2:
        # The first convolution is adapted to the other number of channels; what is scaled is the same for each.
        usual |= {key: [sum(usual[key]) / len(usual[key])] for key in ("mean", "std")}
    return recipe.with_values({f"data.{key}": value for key, value in usual.items() if given[key] is None})


def _of_run(source: str) -> dict[str, Any]:
    """Give what images a run's weights were trained on; nothing for weights of another program."""
    file = local_weights(source)
    _, stored = read_weights(file)
    if METADATA_KEY not in stored:
        return {}
    metadata = Metadata.parse(stored[METADATA_KEY], str(file))
    values = (metadata.image_size, metadata.channels, list(metadata.mean), list(metadata.std))
    return dict(zip(_IMAGE_KEYS, values, strict=True))


def _published(recipe: Recipe) -> dict[str, Any]:
    name = _bare_name(recipe)
    expected = preprocessing(name or " ".join(recipe.model.network.split()))
    mean, std = list(expected.mean), list(expected.std)
    return {"image_size": transfer_size(name), "channels": 3, "mean": mean, "std": std}


def metadata_of(prepared: Prepared, figures: Mapping[str, Any]) -> Metadata:
    """Give what stands beside the weights."""
    recipe, network = prepared.recipe, prepared.network
    kind = "python" if is_code(recipe.model.network) else "name"
    text = recipe.model.network.strip()
    if isinstance(network, NotationNetwork):
        kind, text = "notation", network.notation
    geometry = prepared.data.geometry
    return Metadata(
        text,
        kind,
        prepared.data.classes,
        geometry.image_size,
        geometry.channels,
        geometry.resize,
        tuple(map(float, recipe.data.mean or ())),
        tuple(map(float, recipe.data.std or ())),
        recipe.text(),
        figures,
        __version__,
    )


def fingerprint(data: DataSet) -> str:
    """Give a digest of the training images and labels; of a large set, of every so many images."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (data.train, data.valid):
        if part is not None:
            digest.update(part.labels.numpy().tobytes())
            every = max(1, part.images.numel() // 2**28)
            digest.update(part.images[::every].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _statistics(recipe: Recipe, images: ImageSet) -> tuple[list[float], list[float]]:
    """Give the mean and deviation that the recipe names, or those of the training images per channel."""
    wanted: list[list[float]] = []
    counted = None
    for given, index in ((recipe.data.mean, 0), (recipe.data.std, 1)):
        if given == "auto":
            counted = counted or _measured(images)
        value = [float(index)] if given is None else counted[index] if isinstance(given, str) and counted else given
        if len(value) not in (1, images.images.shape[1]):
            raise RecipeError(
                f"data.{('mean', 'std')[index]} has {len(value)} numbers, but the images have {images.images.shape[1]} "
                "channels: give one number for all, or one for each."
            )
        wanted.append([float(number) for number in value])
    return wanted[0], wanted[1]


def _measured(image_set: ImageSet) -> tuple[list[float], list[float]]:
    channels = image_set.images.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(image_set), 4096):
        part = image_set.images[start : start + 4096]
        for channel in range(channels):
            counts[channel] += np.bincount(part[:, channel].numpy().ravel(), minlength=256)
    values = np.arange(256) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    # Rounding could carry the variance of a single value below zero.
    deviation = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0))
    # A channel without any contrast would be divided by zero.
    return mean.tolist(), np.maximum(deviation, 1 / 255).tolist()


def is_code(network: str) -> bool:
    """Whether the text of a network names Python code."""
    return isinstance(resolve_network(network), PythonPath)


def _lasting(source: str) -> str:
    """Give the absolute path of a folder or file, so that a run resumes from anywhere; names stay."""
    return source if find(source) else str(Path(source).resolve())


def _lasting_weights(source: str) -> str:
    return source if source in ("", IMAGENET) else str(Path(source).expanduser().resolve())


def _bare_name(recipe: Recipe) -> str:
    """Give the name of a recipe's network, without the layer that it is cut at; empty where it has none."""
    meant = resolve_network(recipe.model.network)
    return meant.name if isinstance(meant, Entry) else ""
