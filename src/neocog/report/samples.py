"""Images as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from neocog.errors import DataError
from neocog.report import grid
from neocog.report.canvas import picture
from neocog.report.fonts import shorten


def plot_samples(images: ArrayLike, labels: Sequence[str], path: Path | str, *, title: str, most: int = 64) -> Path:
    """Draw the first `most` images in a grid, each under its label; gives `path`.

    `images`: uint8 (N, C, H, W), C = 1 or 3, array or CPU tensor, after augmentation where there is one.
    Raises `DataError` for no images, another shape or type, or another number of labels.
    """
    pixels = grid.as_pixels(images)
    grid.check_counts(len(pixels), labels=len(labels))
    if len(pixels) == 0:
        raise DataError("expected at least one image to draw, got none.")
    pixels, labels = pixels[:most], list(labels[:most])
    rows, columns = grid.shape_of(len(pixels))
    size = (max(columns * grid.CELL, 3.6), rows * (grid.CELL + 0.15) + grid.MARGIN)
    with picture(path, size, [title, *labels]) as (figure, letters):
        for cell, label in zip(grid.show(figure, pixels, rows, columns), labels, strict=True):
            cell.set_title(letters.drawable(shorten(label, 16)), fontsize=8.5, pad=3)
        figure.suptitle(letters.drawable(shorten(title, round(size[0] * 9))))
    return Path(path)
