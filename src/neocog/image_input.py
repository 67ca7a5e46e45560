"""The forms in which a user may give images: paths, Pillow images, arrays and tensors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from neocog.errors import DataError

ImageLike = str | Path | Image.Image | NDArray[Any] | torch.Tensor


def as_list(images: Any) -> tuple[list[Any], bool]:
    """Give the images one by one, and whether it was a single one that was given.

    Raises `DataError` for what is neither an image nor several.
    """
    if isinstance(images, np.ndarray | torch.Tensor):
        if images.ndim == 4:
            return list(images), False
        return [images], True
    if isinstance(images, str | Path | Image.Image):
        return [images], True
    if isinstance(images, Iterable):
        return list(images), False
    raise DataError(f"expected an image (path, Pillow image, array or tensor) or several; got {type(images).__name__}.")


def as_picture(image: Any) -> Path | Image.Image:
    """Bring arrays (H, W) or (H, W, C) and tensors (C, H, W) into a Pillow image; paths and Pillow images stay.

    Numbers are uint8, or floats from 0 to 1. Raises `DataError` for anything else.
    """
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
