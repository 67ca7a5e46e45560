"""The images on which several classifiers differ."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes

from neocog.report import grid
from neocog.report.canvas import BLUE, GRAY, INK, ORANGE, picture
from neocog.report.fonts import LEFT_TO_RIGHT, Lettering, shorten

if TYPE_CHECKING:
    from neocog.comparison import Comparison, Difference

_CELL = 1.5  # inches
_LINE = 0.16  # inches that one answer takes
_NAME = 60


def plot_differences(found: Comparison, path: Path | str, *, most: int = 36) -> Path:
    """Draw the first `most` images on which the answers of a comparison differ, as its first classifier sees them.

    Above each image stand its label and every classifier's answer, blue where it is right and orange where it is not;
    the classifiers are A, B and so on. Gives `path`.
    """
    shown = found.differences[:most]
    letters_of = [ascii_uppercase[number % 26] for number in range(len(found.compared))]
    legend = [f"{letter}: {shorten(item.name, _NAME)}" for letter, item in zip(letters_of, found.compared, strict=True)]
    pixels = grid.as_pixels(found.images.sets[0].images[torch.tensor([item.place for item in shown], dtype=torch.long)])
    rows, columns = grid.shape_of(max(len(shown), 1), most_columns=6)
    captions = (len(found.compared) + 1) * _LINE
    title = 0.3 + 0.22 * len(legend)
    size = (max(columns * _CELL, 5.6), rows * (_CELL + captions) + title)
    texts = [*legend, *(text for item in shown for text in (item.label, *(said for said, _ in item.answers)))]
    with picture(path, size, texts) as (figure, letters):
        if shown:
            for cell, item in zip(grid.show(figure, pixels, rows, columns), shown, strict=False):
                _caption(cell, letters, letters_of, item)
        else:
            figure.text(0.5, 0.45, "the same answer to every image", ha="center", va="center", color=GRAY)
        told = [_heading(len(found.differences), len(shown)), *map(letters.drawable, legend)]
        figure.suptitle("\n".join(told), fontsize=10.5)
    return Path(path)


def _heading(count: int, shown: int) -> str:
    noun = "image" if count == 1 else "images"
    return f"They differ on {count:,} {noun}" + (f"; the {shown} farthest apart" if count > shown else "")


def _caption(cell: Axes, letters: Lettering, names: list[str], item: Difference) -> None:
    lines = [(f"is {shorten(item.label, 21)}", INK)]
    for name, (said, sure) in zip(names, item.answers, strict=True):
        share = f"{100 * sure:.0f} %"
        text = f"{name}: {shorten(said, 17 - len(share))}{LEFT_TO_RIGHT} ({share})"
        lines.append((text, BLUE if said == item.label else ORANGE))
    for place, (text, colour) in enumerate(reversed(lines)):
        cell.annotate(
            letters.drawable(text), xy=(0.5, 1), xycoords="axes fraction", xytext=(0, 3 + 11 * place),
            textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=colour,
        )  # fmt: skip
