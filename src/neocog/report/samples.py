"""Images as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from numpy.typing import ArrayLike

from neocog.errors import DataError
from neocog.report import grid
from neocog.report.canvas import picture
from neocog.report.fonts import shorten

_LINE, _TITLE_LINE = 0.15, 0.25  # inches


def label_texts(labels: torch.Tensor, classes: Sequence[str]) -> list[str]:
    """Give the label of each image as text: the class, or the classes of a mixture with their shares, a line each.

    `labels` are class numbers (N,), or probabilities (N, K) as mixing makes them.
    """
    if labels.ndim == 1:
        return [classes[label] for label in labels.tolist()]
    texts = []
    for row in labels:
        shares = [(float(row[place]), classes[place]) for place in row.argsort(descending=True, stable=True)[:2]]
        texts.append(shares[0][1] if shares[1:] == [] or shares[1][0] < 0.005 else _shares_text(shares))
    return texts


def plot_samples(
    images: ArrayLike,
    labels: Sequence[str],
    path: Path | str,
    *,
    title: str,
    most: int = 64,
    cell: tuple[float, float] = (grid.CELL, grid.CELL),
) -> Path:
    """Draw the first `most` images in a grid, each under its label, of one line or several; gives `path`.

    `images`: uint8 (N, C, H, W), C = 1 or 3, array or CPU tensor, after augmentation where there is one; `cell`: width
    and height of one of them in inches.
    Raises `DataError` for no images, another shape or type, or another number of labels.
    """
    pixels = grid.as_pixels(images)
    grid.check_counts(len(pixels), labels=len(labels))
    if len(pixels) == 0:
        raise DataError("expected at least one image to draw, got none.")
    pixels, labels = pixels[:most], list(labels[:most])
    rows, columns = grid.shape_of(len(pixels))
    lines = 1 + max(label.count("\n") for label in labels)
    height = rows * (cell[1] + _LINE * lines) + grid.MARGIN + _TITLE_LINE * title.count("\n")
    size = (max(columns * cell[0], 3.6), height)
    with picture(path, size, [title, *labels]) as (figure, letters):
        for axes, label in zip(grid.show(figure, pixels, rows, columns), labels, strict=True):
            text = "\n".join(letters.drawable(shorten(line, 16)) for line in label.split("\n"))
            axes.set_title(text, fontsize=8.5, pad=3)
        figure.suptitle("\n".join(letters.drawable(shorten(line, round(size[0] * 9))) for line in title.split("\n")))
    return Path(path)


def _shares_text(shares: Sequence[tuple[float, str]]) -> str:
    # the share stays in sight where a name is too long
    return "\n".join(f"{shorten(name, 10)} {100 * share:.0f} %" for share, name in shares)
