"""Small pictures of a source's images, decoded when they are asked for."""

from __future__ import annotations

import numpy as np

from neocog.auditing.inspecting import Look
from neocog.data.decoding import decode, to_picture
from neocog.data.file_pixels import FilePixels
from neocog.data.geometry import Geometry
from neocog.data.source import Source, UInt8

_SIDES = 8192


class Pictures:
    """The images of `source` by row; `looks` say how large each is."""

    def __init__(self, source: Source, looks: dict[int, Look]) -> None:
        self._source, self._looks = source, looks

    def at(self, row: int, side: int, channels: int = 3) -> UInt8:
        """Give the image at `row`, uint8 (channels, H, W), its longer side at most `side` pixels."""
        look = self._looks[row]
        scale = min(1.0, side / max(look.width, look.height))
        size = (_within(look.height * scale), _within(look.width * scale))
        pixels = self._source.pixels
        geometry = Geometry(size, channels, "squash")
        if isinstance(pixels, FilePixels):
            return decode(pixels.paths[row], geometry)
        native = pixels.native(None)
        own = np.empty((1, native.channels, look.height, look.width), np.uint8)
        pixels.only(np.array([row])).read(
            Geometry((look.height, look.width), 3 if native.channels > 1 else 1), own, None
        )
        return decode(to_picture(own[0]), geometry)


def _within(side: float) -> int:
    return max(1, min(_SIDES, round(side)))
