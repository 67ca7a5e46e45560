"""One image looked at closely: what its file says, a digest of its pixels, a thumbnail."""

from __future__ import annotations

import contextlib
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from neocog.data.decoding import UnreadableImage, decode, probe, to_picture
from neocog.data.geometry import Geometry
from neocog.data.source import UInt8

SIDE = 32  # pixels of a thumbnail
_LARGEST = 8192  # pixels of a side that Geometry takes
_FLAT = 4  # levels of gray: what varies less is a single colour
_TAIL = 65_536  # bytes


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one readable image; (width, height) as seen upright."""

    width: int
    height: int
    digest: bytes
    flat: bool
    format: str = ""
    mode: str = ""
    animated: bool = False
    turned: bool = False
    ends_early: bool = False


def look_at(path: Path) -> tuple[Look, UInt8]:
    """Read a file whole: what is known of it, and its thumbnail, gray uint8 (SIDE, SIDE). Raises `UnreadableImage`."""
    try:
        kind = path.stat().st_mode
    except OSError:
        kind = stat.S_IFREG  # decoding says what is wrong
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise UnreadableImage(str(path), "not a regular file, but a pipe, a socket or a device")
    (height, width), channels = probe(path)
    pixels = decode(path, Geometry((min(height, _LARGEST), min(width, _LARGEST)), channels, "squash"))
    known: dict[str, str | bool] = {}
    # The file could be read, so this is no reason to refuse it.
    with contextlib.suppress(Exception):
        known = _header(path)
    return _look(pixels, width, height, known), thumbnail(pixels)


def look_at_array(pixels: UInt8) -> tuple[Look, UInt8]:
    """Look at an image that is already decoded, uint8 (C, H, W), as `look_at` does."""
    return _look(pixels, pixels.shape[2], pixels.shape[1], {}), thumbnail(pixels)


def thumbnail(pixels: UInt8) -> UInt8:
    """Give a gray picture of SIDE x SIDE pixels of an image, uint8 (C, H, W), stretched to the square."""
    picture = to_picture(pixels).convert("L")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def digest_of(pixels: UInt8) -> bytes:
    """Give a digest of decoded pixels, uint8 (C, H, W): the same for the same picture in gray and in RGB."""
    if len(pixels) == 3 and (pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all():
        pixels = pixels[:1]
    found = hashlib.blake2b(f"{pixels.shape}".encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()


def _look(pixels: UInt8, width: int, height: int, known: dict[str, str | bool]) -> Look:
    flat = all(int(plane.max()) - int(plane.min()) < _FLAT for plane in pixels)
    return Look(width, height, digest_of(pixels), flat, **known)  # type: ignore[arg-type]


def _header(path: Path) -> dict[str, str | bool]:
    with Image.open(path) as image:
        mode = image.mode
        if image.has_transparency_data:
            mode += " with transparency"
        # several pictures in an MPO file are views of one
        animated = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        turned = False
        if image.format != "PNG" or "exif" in image.info:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)
        file_format = image.format or ""
    return {
        "format": file_format,
        "mode": mode,
        "animated": animated,
        "turned": turned,
        "ends_early": _ends_early(path, file_format),
    }


def _ends_early(path: Path, file_format: str) -> bool:
    """Whether the mark at the end of a JPEG or PNG is missing."""
    mark = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}.get(file_format)
    if mark is None:
        return False
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        return mark not in file.read()
