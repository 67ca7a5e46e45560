"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from neocog.errors import DataError
from neocog.report.canvas import BLUE, INK, LINE, ORANGE, picture
from neocog.report.fonts import Lettering, shorten, width

_MOST_NUMBERED = 30  # classes
_MOST_COLUMNS = 24  # of a class name
_RIGHT = LinearSegmentedColormap.from_list("right", ["#FFFFFF", "#9CC7E3", BLUE])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#FFFFFF", "#F5C09C", ORANGE])


def plot_confusion(matrix: ArrayLike, classes: Sequence[str], path: Path | str, *, title: str) -> Path:
    """Draw a confusion matrix: a row for each true class, a column for each predicted one; gives `path`.

    `matrix`: counts (K, K), integers of at least 0. A colour tells the share of the true class: blue for what
    is right, on a scale from 0 to 100 %; orange for what is not, on a scale up to the largest such share, so
    that the few mistakes of a good classifier show too. Up to 30 classes the counts stand in the
    cells, from there on the two scales stand beside them.
    Raises `DataError` where the matrix and the classes do not fit.
    """
    counts = _checked(matrix, classes)
    size = _size(classes)
    with picture(path, size, [title, *classes]) as (figure, letters):
        axes = figure.add_subplot()
        _draw_shares(figure, axes, counts)
        if len(classes) <= _MOST_NUMBERED:
            _write_counts(axes, counts)
        _label(axes, classes, letters)
        figure.suptitle(letters.drawable(shorten(title, round(size[0] * 9))))
    return Path(path)


def _checked(matrix: ArrayLike, classes: Sequence[str]) -> NDArray[np.int64]:
    counts = np.asarray(matrix)
    whole = np.issubdtype(counts.dtype, np.integer)
    if counts.shape != (len(classes), len(classes)) or not classes or not whole or (counts < 0).any():
        raise DataError(
            f"expected whole numbers of at least 0 in shape ({len(classes)}, {len(classes)}), a row and a "
            f"column for each class, got {counts.dtype} of shape {counts.shape}."
        )
    return counts.astype(np.int64)


def _cell(count: int) -> float:
    """Side of a cell in inches."""
    return max(0.095, min(0.9 if count <= 3 else 0.5, 11 / count))


def _size(classes: Sequence[str]) -> tuple[float, float]:
    """Width and height of the picture in inches."""
    count = len(classes)
    side = _cell(count) * count
    labels = max(min(width(name), _MOST_COLUMNS) for name in classes) * _font_size(count) * 0.62 / 72
    below = 0.2 if _upright(classes) else labels
    bars = 0.0 if count <= _MOST_NUMBERED else 1.8
    return max(side + labels + bars + 0.7, 3.6), max(side + below + (0.95 if _upright(classes) else 1.25), 3.0)


def _font_size(count: int) -> float:
    """Size of the class names in points."""
    return min(9.5, _cell(count) * 72 * 0.8)


def _upright(classes: Sequence[str]) -> bool:
    """Whether every name is short enough to stand under its column unturned."""
    longest = max(width(name) for name in classes)
    return longest * _font_size(len(classes)) * 0.66 < _cell(len(classes)) * 72


def _draw_shares(figure: Figure, axes: Axes, counts: NDArray[np.int64]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    largest = shares[~right].max(initial=0.0)
    blue = axes.imshow(np.ma.array(shares, mask=~right), cmap=_RIGHT, vmin=0, vmax=1)
    orange = axes.imshow(np.ma.array(shares, mask=right), cmap=_WRONG, vmin=0, vmax=largest or 1)
    if len(counts) <= _MOST_NUMBERED:
        return
    for image, label in ((orange, "mistaken for another"), (blue, "right")):
        bar = figure.colorbar(image, ax=axes, shrink=0.4, aspect=30, pad=0.02, location="right")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
        bar.set_label(label, fontsize=8)


def _write_counts(axes: Axes, counts: NDArray[np.int64]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    off = shares[~np.eye(len(counts), dtype=bool)].max(initial=0.0) or 1.0
    digits = len(str(counts.max()))
    size = min(11.0, _cell(len(counts)) * 72 * 0.85 / max(digits, 2) / 0.62)
    for row, column in zip(*counts.nonzero(), strict=True):
        dark = shares[row, column] / (1.0 if row == column else off) > 0.6
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=size,
            color="white" if dark else INK,
        )  # fmt: skip


def _label(axes: Axes, classes: Sequence[str], letters: Lettering) -> None:
    count = len(classes)
    names = [letters.drawable(shorten(name, _MOST_COLUMNS)) for name in classes]
    fontsize = _font_size(count)
    places = range(count)
    axes.set_xticks(places, names, fontsize=fontsize, rotation=0 if _upright(classes) else 90)
    axes.set_yticks(places, names, fontsize=fontsize)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.5 if count <= _MOST_NUMBERED else 0.25)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
