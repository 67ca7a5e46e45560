"""Whether images are photographs on which a published network should begin, where the user leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neocog.data.decoding import UnreadableImage, probe
from neocog.data.file_pixels import FilePixels
from neocog.data.loading import find_source
from neocog.data.source import Source
from neocog.errors import WeightsError
from neocog.models.catalogue import Entry
from neocog.models.published import weights_path
from neocog.models.reference import resolve
from neocog.recipe import Recipe
from neocog.transfer.trunk import DEFAULT

BASE = "fine-tune"
DEFAULT_MINUTES = 1.0
# What may be said of a training without choosing how it is done.
_FREE = {
    "train.seed", "train.device", "train.threads", "train.precision", "train.memory_format", "train.kernels",
    "train.batch_size", "train.checkpoint_seconds", "model.pretrained", "model.num_classes",
}  # fmt: skip
_LOOKED_AT = 200
_SHORT_SIDE = 96


def automatic_recipe(
    source: str, model: str | None, values: Mapping[str, Any], tell: Callable[[str], None] = lambda text: None
) -> Recipe | None:
    """Give the recipe to choose from for images whose training is left open; None where it is not to be chosen.

    `values` are the settings that were given, by table and key. It is left open where only a network with its
    `pretrained` weights is named, or nothing at all and the images are photographs. `tell` hears why photographs are
    not begun with published weights.
    """
    if any(not (key in _FREE or key.startswith("data.")) for key in values):
        return None
    pretrained = values.get("model.pretrained", "")
    if not pretrained:
        if model is not None or not are_photographs(find_source(source)):
            return None
        try:
            weights_path(DEFAULT)
        except WeightsError as error:
            tell(f"note: these are photographs, for which trained weights help much, but they are not here: {error}")
            return None
        pretrained = "imagenet"
    network = model or DEFAULT
    if not isinstance(resolve(network), Entry):
        return None
    chosen = {"data.source": source, **values, "model.network": network, "model.pretrained": pretrained}
    return Recipe.load(BASE).model_copy(update={"stage": []}).with_values(chosen)


def are_photographs(source: Source) -> bool:
    """Whether the images are files, mostly in colour and at least 96 pixels high and wide in the middle case."""
    if not isinstance(source.pixels, FilePixels):
        return False
    rows = np.unique(np.linspace(0, max(len(source) - 1, 0), _LOOKED_AT).astype(np.int64))[: len(source)]
    found = [header for row in rows if (header := _header(source.pixels, int(row))) is not None]
    if not found:
        return False
    sides, colours = np.array([min(size) for size, _ in found]), np.array([channels for _, channels in found])
    return bool(np.median(sides) >= _SHORT_SIDE and (colours == 3).mean() > 0.5)


def _header(pixels: FilePixels, row: int) -> tuple[tuple[int, int], int] | None:
    try:
        return probe(pixels.paths[row])
    except UnreadableImage:
        return None
