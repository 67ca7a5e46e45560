"""From the file to the network: an original picture beside what resizing leaves of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neocog.data import Geometry, ImageSet, UnreadableImage, decode
from neocog.data.decoding import probe
from neocog.data.source import UInt8
from neocog.report.page.pictures import image_uri

_MOST = 4
_LOOKED_AT = 60  # files whose shapes are compared
_SIDE = 224  # pixels of the longer side of an original
_IMAGENET_SHARE = 0.875  # of the shorter side
_CUT_OFF = 200  # the gray that what is cut off fades to
_WORDS = {
    "crop": "each is made to fill {frame} pixels, and what hangs over is cut off, equally on both sides (crop)",
    "letterbox": "each is shown whole in {frame} pixels, on black bars (letterbox)",
    "squash": "each is stretched or squeezed to {frame} pixels, whatever its shape (squash)",
    "pad": "each keeps its size and stands in the middle of {frame} black pixels; only a larger one is shrunk (pad)",
    "center": "each keeps its size, and the middle {frame} pixels are taken (center)",
    "imagenet": "the middle 87.5 % of each, by its shorter side, becomes {frame} pixels (imagenet)",
}


@dataclass(frozen=True)
class Seen:
    """A picture as its file has it, what is cut off faded, and as the network gets it; both are data URIs."""

    original: str
    network: str
    told: str
    source: str
    size: tuple[int, int]
    network_size: tuple[int, int]


def geometry_text(geometry: Geometry) -> str:
    """Say in a sentence how pictures become images of this geometry."""
    frame = f"{geometry.image_size[1]}x{geometry.image_size[0]}"
    words = _WORDS[geometry.resize].format(frame=frame)
    gray = "; colours become gray" if geometry.channels == 1 else ""
    return f"Of pictures of any size and shape, {words}{gray}. The weights record it, and prediction does the same."


def seen(images: ImageSet, geometry: Geometry) -> tuple[Seen, ...]:
    """Show up to four images of the set, from the tallest to the widest; none where they are not files, or are gone."""
    sizes = dict[int, tuple[int, int]]()
    count = min(_LOOKED_AT, len(images)) if images.sources is not None else 0
    for index in np.unique(np.linspace(0, max(len(images) - 1, 0), count).round().astype(int)).tolist():
        try:
            sizes[index], _ = probe(Path((images.sources or ())[index]))
        except UnreadableImage:
            continue
    by_shape = sorted(sizes, key=lambda index: (sizes[index][1] / sizes[index][0], index))
    places = np.unique(np.linspace(0, max(len(by_shape) - 1, 0), min(_MOST, len(by_shape))).round().astype(int))
    shown = [_seen(images, by_shape[place], sizes[by_shape[place]], geometry) for place in places.tolist()]
    return tuple(found for found in shown if found is not None)


def _seen(images: ImageSet, index: int, size: tuple[int, int], geometry: Geometry) -> Seen | None:
    file = Path((images.sources or ())[index])
    scale = min(1.0, _SIDE / max(size))
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    try:
        original = decode(file, Geometry(small, 3, "squash"))
    except UnreadableImage:
        return None
    return Seen(
        image_uri(_faded(original, _visible(size, geometry))),
        image_uri(images.images[index].numpy()),
        f"{size[1]}x{size[0]} pixels; {told(size, geometry)}",
        "/".join(file.parts[-2:]),
        (small[1], small[0]),
        (geometry.image_size[1], geometry.image_size[0]),
    )


def told(size: tuple[int, int], geometry: Geometry) -> str:
    """Say what a picture of `size` (height, width) loses, or what is added to it, in this geometry."""
    (height, width), (rows, columns) = size, geometry.image_size
    if geometry.resize == "squash":
        stretched = (columns / width) / (rows / height)
        if abs(stretched - 1) < 0.005:
            return "its shape stays"
        return f"made {max(stretched, 1 / stretched):.2f} times as {'wide' if stretched > 1 else 'tall'} as it is"
    down, across = _visible(size, geometry)
    scale = _scale(size, geometry)
    black = 1 - min(1, scale * height * down / rows) * min(1, scale * width * across / columns)
    words = [
        f"{100 * (1 - down * across):.0f} % of it is cut off" if down * across < 0.995 else "all of it is seen",
        *([f"{100 * black:.0f} % of the frame is black"] if black >= 0.005 else []),
    ]
    return ", ".join(words)


def _scale(size: tuple[int, int], geometry: Geometry) -> float:
    (height, width), (rows, columns) = size, geometry.image_size
    fill, fit = max(rows / height, columns / width), min(rows / height, columns / width)
    return {
        "crop": fill,
        "letterbox": fit,
        "pad": min(1.0, fit),
        "center": 1.0,
        "imagenet": fill / _IMAGENET_SHARE,
        "squash": 1.0,
    }[geometry.resize]


def _visible(size: tuple[int, int], geometry: Geometry) -> tuple[float, float]:
    """The shares of a picture's height and width that are seen, in its middle."""
    if geometry.resize == "squash":
        return 1.0, 1.0
    scale = _scale(size, geometry)
    return min(1.0, geometry.image_size[0] / (scale * size[0])), min(1.0, geometry.image_size[1] / (scale * size[1]))


def _faded(pixels: UInt8, visible: tuple[float, float]) -> UInt8:
    """Fade what lies outside the middle of an image (C, H, W)."""
    inside = np.ones(pixels.shape[1:], bool)
    for axis, share in enumerate(visible):
        line = (np.arange(pixels.shape[axis + 1]) + 0.5) / pixels.shape[axis + 1]
        inside &= np.expand_dims(np.abs(line - 0.5) <= share / 2, 1 - axis)
    return np.where(inside, pixels, (pixels * 0.3 + _CUT_OFF * 0.7).astype(np.uint8))
