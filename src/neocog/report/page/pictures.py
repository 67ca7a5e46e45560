"""Pictures as part of a page: data URIs, and where a network looked as a shade over the image."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SMALL = 64  # pixels; what is not larger keeps every pixel
_QUALITY = 85
_MOST_SHADE = 0.75
_BRIGHTEST = 0.995
_SHADED = 168  # pixels, of the longer side of a small image with a shade over it


def image_uri(pixels: NDArray[np.uint8]) -> str:
    """Give an image, uint8 (C, H, W) with C = 1 or 3, as a data URI: PNG where it is small, JPEG else."""
    array = pixels.transpose(1, 2, 0)
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else np.ascontiguousarray(array))
    file = io.BytesIO()
    if max(picture.size) <= _SMALL:
        picture.save(file, "PNG", optimize=True)
        return _uri("png", file.getvalue())
    picture.save(file, "JPEG", quality=_QUALITY)
    return _uri("jpeg", file.getvalue())


def file_uri(path: Path) -> str:
    """Give a PNG file as a data URI."""
    return _uri("png", path.read_bytes())


def shaded(pixels: NDArray[np.uint8], attribution: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay an attribution over its image: uint8 (C, H, W) and float (H, W) of at least 0 give uint8 (3, S*H, S*W).

    The image fades to gray; the larger the attribution, the more of the colour from purple to yellow lies over it. A
    small image is drawn S times as large, its pixels as squares and the attribution smooth.
    """
    times = max(1, _SHADED // max(pixels.shape[1:]))
    attribution = _enlarged(attribution, times)
    gray = pixels.mean(axis=0).repeat(times, axis=0).repeat(times, axis=1) / 255 * 0.75 + 0.1
    # A single pixel that stands out must not leave all others pale.
    largest = float(np.quantile(attribution, _BRIGHTEST)) or float(attribution.max())
    share = np.clip(attribution / largest, 0, 1) if largest > 0 else np.zeros_like(attribution)
    colours = matplotlib.colormaps["plasma"](share)[:, :, :3]
    weight = (share * _MOST_SHADE)[:, :, None]
    mixed = gray[:, :, None] * (1 - weight) + colours * weight
    return np.asarray(np.round(mixed * 255), dtype=np.uint8).transpose(2, 0, 1)


def where(attribution: NDArray[np.float32]) -> str:
    """Say in words in which ninth of an image an attribution (H, W) of at least 0 is concentrated."""
    if not float(attribution.max()) > 0:
        return "nowhere in particular"
    height, width = attribution.shape
    total = attribution.sum()
    row = float((attribution.sum(axis=1) * np.arange(height)).sum() / total) / max(height - 1, 1)
    column = float((attribution.sum(axis=0) * np.arange(width)).sum() / total) / max(width - 1, 1)
    vertical = "top" if row < 1 / 3 else "bottom" if row > 2 / 3 else ""
    horizontal = "left" if column < 1 / 3 else "right" if column > 2 / 3 else ""
    return (
        "mostly at the " + " ".join(filter(None, (vertical, horizontal)))
        if vertical + horizontal
        else ("around the middle")
    )


def _enlarged(values: NDArray[np.float32], times: int) -> NDArray[np.float32]:
    height, width = values.shape
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    resized = picture.resize((width * times, height * times), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
