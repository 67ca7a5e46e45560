"""One image on its way through the network: the feature maps, and one value of them worked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.notation import shape_text
from neocog.report.page.pictures import image_uri

if TYPE_CHECKING:
    from neocog.classifier import Classifier
    from neocog.explain.explanation import LayerView

_MOST_MAPS = 8
_LEAST_SIDE = 80  # pixels; smaller maps are drawn with larger squares
_GAP = 4
_BEHIND = 128  # gray between the maps


@dataclass(frozen=True)
class Maps:
    """The maps of a layer that fired most, as one picture; `channels` names them."""

    name: str
    what: str
    shape: str
    picture: str
    channels: str
    width: int
    height: int


@dataclass(frozen=True)
class Inside:
    """What the layers gave for one image, and the arithmetic of one value as plain text."""

    maps: tuple[Maps, ...]
    arithmetic: str
    told: str


def look_inside(classifier: Classifier, pixels: torch.Tensor) -> Inside:
    """Follow an image, uint8 (C, H, W), through the network; one that cannot be followed gives the reason alone."""
    from neocog.explain import explain
    from neocog.explain.picture_maps import shown_layers

    try:
        found = explain(classifier.model, pixels.float(), classes=classifier.classes)
    except NeocogError as error:
        return Inside((), "", f"This network cannot be opened: {error}")
    layers = [layer for layer in shown_layers(found) if layer.values.ndim == 3 and min(layer.values.shape[1:]) > 1]
    arithmetic = "\n".join(part.text() for part in found.chain)
    told = "" if found.agrees else "What was worked out is not what the network gave: please report this."
    return Inside(tuple(map(_maps, layers)), arithmetic, told)


def _maps(layer: LayerView) -> Maps:
    strength = np.clip(layer.values, 0, None).mean((1, 2))
    channels = np.sort(np.argsort(-strength, kind="stable")[:_MOST_MAPS])
    picture = side_by_side(layer.values[channels])
    return Maps(
        layer.name,
        layer.what,
        shape_text(layer.values.shape),
        image_uri(picture),
        ", ".join(map(str, channels)),
        picture.shape[2],
        picture.shape[1],
    )


def side_by_side(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw maps (N, H, W) in a row, uint8 (3, H', W'): black is 0 and white the largest; with values below 0 these are
    blue, those above orange, and 0 is white."""
    from matplotlib import colormaps

    from neocog.explain.colours import SIGNED

    high = float(np.abs(maps).max()) or 1.0
    signed = bool(maps.min() < 0)
    coloured = SIGNED((maps / high + 1) / 2) if signed else colormaps["gray"](maps / high)
    times = max(1, -(-_LEAST_SIDE // max(maps.shape[1:])))
    squares = (coloured[..., :3] * 255).round().astype(np.uint8).repeat(times, 1).repeat(times, 2)
    between = np.full((squares.shape[1], _GAP, 3), _BEHIND, np.uint8)
    parts = [part for square in squares for part in (square, between)]
    return np.concatenate(parts[:-1], axis=1).transpose(2, 0, 1)
