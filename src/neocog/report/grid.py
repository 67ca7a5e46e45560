"""Images in rows and columns, each with a caption."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from neocog.errors import DataError

CELL = 1.25  # inches
MARGIN = 0.6  # inches, for the title


def as_pixels(images: ArrayLike) -> NDArray[np.uint8]:
    """Images (N, C, H, W), uint8, C = 1 or 3 (arrays or tensors), as (N, H, W, C); raises `DataError` for
    others."""
    array = np.asarray(images)
    if array.ndim != 4 or array.dtype != np.uint8 or array.shape[1] not in (1, 3):
        raise DataError(
            f"expected uint8 images of shape (N, 1, H, W) or (N, 3, H, W), got {array.dtype} of shape "
            f"{array.shape}. Give the images as they are before scaling."
        )
    return array.transpose(0, 2, 3, 1)


def shape_of(count: int, most_columns: int = 8) -> tuple[int, int]:
    """Rows and columns for `count` images: as square as can be, at most `most_columns` wide."""
    columns = min(most_columns, max(1, math.ceil(math.sqrt(count))))
    return math.ceil(count / columns), columns


def show(figure: Figure, pixels: NDArray[np.uint8], rows: int, columns: int) -> Sequence[Axes]:
    """Draw images (N, H, W, C) cell by cell; gives their axes. Small images keep their pixels as squares."""
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set_axis_off()
        # matplotlib would lay out the ticks of an axis that is off, which takes half of the time
        cell.xaxis.set_visible(False)
        cell.yaxis.set_visible(False)
    for cell, image in zip(cells, pixels, strict=False):
        smooth = max(image.shape[:2]) > 150
        if image.shape[2] == 1:
            image = image.repeat(3, axis=2)
        cell.imshow(image, interpolation="antialiased" if smooth else "nearest")
    return list(cells[: len(pixels)])


def check_counts(images: int, **others: int) -> None:
    """Raise `DataError` where there are not as many of each of `others` as images."""
    for name, count in others.items():
        if count != images:
            raise DataError(f"expected one of {name} for each of {images} images, got {count}.")
