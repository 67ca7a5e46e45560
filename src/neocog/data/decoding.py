"""One picture of any kind, size and mode becomes a uint8 array."""

from __future__ import annotations

import contextlib
import functools
import io
import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from neocog.data.geometry import Geometry
from neocog.data.names import printable
from neocog.data.source import UInt8
from neocog.errors import DataError

Readable = Path | str | bytes | Image.Image | IO[bytes]

# Formats of pictures. Left out are those that run an interpreter (EPS), or need a program beside Pillow.
_FORMATS = (
    "AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI",
    "TGA", "TIFF", "WEBP",
)  # fmt: skip
_GRAY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
_DEEP = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as it stays so many times larger than what is
# needed: docs/data.md says what that costs. Bicubic filters keep more detail, so they need more.
_DRAFT_MARGIN, _BICUBIC_MARGIN = 1.5, 2
_TURNED = frozenset({5, 6, 7, 8})
# Networks for ImageNet are evaluated on the middle of an image: 224 of 256 pixels of its shorter side.
_IMAGENET_PART = 224 / 256
_MISSING, _FORBIDDEN, _FOLDER = "there is no such file", "no permission to read it", "it is a folder"
_NO_FILE = "it is a pipe, a socket or a device, not a file"
_ADVICE = {
    _MISSING: "Mind the spelling, and the folder from which the path begins.",
    _FORBIDDEN: "Give yourself the permission, or leave it out.",
    _FOLDER: "Name the pictures in it.",
    _NO_FILE: "Save what it gives to a file first.",
}


class UnreadableImage(DataError):  # noqa: N818 - it is what the user has: an unreadable image
    """A picture that cannot be decoded: `reason` says why, without the name of the file."""

    def __init__(self, name: str, reason: str) -> None:
        advice = _ADVICE.get(reason, "Save the picture again as PNG or JPEG, or leave it out.")
        super().__init__(f"cannot read {name}: {reason}. {advice}")
        self.reason = reason


def decode(source: Readable, geometry: Geometry) -> UInt8:
    """The picture in `source` as uint8 (C, H, W), 0 black to 255 white, of the shape that `geometry` says.

    `source` is a path, the bytes of a file, an open binary file or a PIL image (which stays as it was). EXIF
    orientation is applied; of an animation the first frame is taken; transparency lies over white; CMYK and
    palettes become RGB; RGB becomes gray by ITU-R 601 (0.299 R + 0.587 G + 0.114 B); 16-bit values are
    divided by 257, other deep values scaled as `_to_eight_bits` says. Resizing is bilinear (bicubic for
    "imagenet") over the whole area that falls into a pixel; a large JPEG is first decoded at a smaller scale.
    Raises `UnreadableImage`.
    """
    with _guard(_name(source)), contextlib.ExitStack() as stack:
        image = source if isinstance(source, Image.Image) else stack.enter_context(_open(source))
        _draft(image, source, geometry)
        flat = _flatten(_upright(image), geometry.channels)
        fitted = _fit(flat, geometry)
        array = np.asarray(fitted)
        return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def probe(path: Path) -> tuple[tuple[int, int], int]:
    """(height, width) as seen upright, and channels (1 for a grayscale mode, else 3), from the header alone.

    Raises `UnreadableImage`.
    """
    with _guard(str(path)), _open(path) as image:
        width, height = image.size
        # Pillow would decode the whole of a PNG to look for EXIF data behind the pixels.
        turned = (image.format != "PNG" or "exif" in image.info) and _orientation(image) in _TURNED
        return ((width, height) if turned else (height, width)), 1 if _is_gray(image) else 3


def to_picture(image: UInt8) -> Image.Image:
    """The PIL image of a uint8 array (1, H, W) or (3, H, W)."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """Endings of file names, with the dot and in small letters, of the formats that `decode` reads."""
    formats = _formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _name(source: Readable) -> str:
    if isinstance(source, Path | str):
        return printable(str(source))
    if isinstance(source, bytes):
        return f"an image of {len(source)} bytes"
    return str(getattr(source, "filename", "") or getattr(source, "name", "") or "the image")


@contextlib.contextmanager
def _guard(name: str) -> Iterator[None]:
    try:
        yield
    except UnreadableImage:
        raise
    except FileNotFoundError as error:
        raise UnreadableImage(name, _MISSING) from error
    except PermissionError as error:
        raise UnreadableImage(name, _FORBIDDEN) from error
    except IsADirectoryError as error:
        raise UnreadableImage(name, _FOLDER) from error
    except UnidentifiedImageError as error:
        raise UnreadableImage(name, "not an image in a format known here") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(
            name,
            f"more pixels than the limit of {2 * (Image.MAX_IMAGE_PIXELS or 0):,}, a decompression bomb perhaps",
        ) from error
    except MemoryError as error:
        raise UnreadableImage(name, "it does not fit into memory") from error
    except OSError as error:
        # what the system says has a number; what Pillow says of a damaged file has none
        reason = f"damaged ({error})" if error.errno is None else f"it cannot be opened ({error.strerror})"
        raise UnreadableImage(name, reason) from error
    # Pillow's readers of formats raise nearly anything on a damaged file (OSError, SyntaxError, struct.error,
    # …).
    except Exception as error:
        raise UnreadableImage(name, f"damaged ({str(error) or type(error).__name__})") from error


def _open(source: Path | str | bytes | IO[bytes]) -> Image.Image:
    if isinstance(source, bytes):
        if not source:
            raise UnreadableImage(_name(source), "it is empty")
        return Image.open(io.BytesIO(source), formats=_formats())
    if isinstance(source, Path | str):
        status = Path(source).stat()
        # Opening a pipe that nobody writes to would wait for ever.
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise UnreadableImage(_name(source), _NO_FILE)
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            raise UnreadableImage(_name(source), "the file is empty")
        return Image.open(source, formats=_formats())
    return Image.open(source, formats=_formats())


def _orientation(image: Image.Image) -> int:
    # Broken EXIF data are no reason to refuse a sound picture.
    with contextlib.suppress(Exception):
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _is_gray(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GRAY


def _draft(image: Image.Image, source: Readable, geometry: Geometry) -> None:
    # A PIL image belongs to the caller: a draft would make it smaller under their hands.
    if isinstance(source, Image.Image) or image.format not in ("JPEG", "MPO") or geometry.resize == "center":
        return
    height, width = geometry.image_size
    if _orientation(image) in _TURNED:
        height, width = width, height
    fit = min if geometry.resize in ("letterbox", "pad") else max
    scale = fit(width / image.width, height / image.height)
    if geometry.resize == "imagenet":
        scale /= _IMAGENET_PART
    if geometry.resize != "squash":
        width, height = round(image.width * scale), round(image.height * scale)
    margin = _BICUBIC_MARGIN if geometry.resize == "imagenet" else _DRAFT_MARGIN
    image.draft(None, (max(1, math.ceil(margin * width)), max(1, math.ceil(margin * height))))


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _flatten(image: Image.Image, channels: int) -> Image.Image:
    """`image` in mode L or RGB, transparency laid over white."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode in _DEEP:
        image = Image.fromarray(_to_eight_bits(image))
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        image = image.convert("RGB")
    # by way of RGB, so that a picture in any other mode gives the gray that its colours give
    if image.mode not in ("L", "RGB", "1"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _to_eight_bits(image: Image.Image) -> UInt8:
    """Values of 16 and 32 bits scaled to 0..255, never clipped.

    16-bit modes, and 32-bit integers that all lie within 16 bits, are divided by 257; floats within 0..1 are
    multiplied by 255, within 0..255 taken as they are; all others are stretched from their smallest to their
    largest value.
    """
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        values *= 255
    elif image.mode == "F" and low >= 0 and high <= 255:
        pass
    elif low >= 0 and high <= 65535 and image.mode != "F":
        values /= 257
    else:
        values = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return np.rint(values).astype(np.uint8)


def _fit(image: Image.Image, geometry: Geometry) -> Image.Image:
    height, width = geometry.image_size
    if geometry.resize == "imagenet":
        box = _middle(image, width, height, _IMAGENET_PART)
        return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    if image.size == (width, height):
        return image
    bilinear = Image.Resampling.BILINEAR
    if geometry.resize == "squash":
        return image.resize((width, height), bilinear)
    if geometry.resize == "crop":
        return image.resize((width, height), bilinear, box=_middle(image, width, height))
    scale = min(width / image.width, height / image.height)
    if geometry.resize in ("pad", "center"):
        scale = min(scale, 1.0) if geometry.resize == "pad" else 1.0
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, (width, height))
    top, left = geometry.centred(inner[1], inner[0])
    canvas.paste(image if inner == image.size else image.resize(inner, bilinear), (left, top))
    return canvas


def _middle(image: Image.Image, width: int, height: int, part: float = 1) -> tuple[float, float, float, float]:
    """The largest area of the shape `width` x `height` in the middle of `image`, or a `part` of its sides."""
    scale = max(width / image.width, height / image.height) / part
    across, down = min(image.width, width / scale), min(image.height, height / scale)
    left, top = (image.width - across) / 2, (image.height - down) / 2
    return left, top, left + across, top + down
