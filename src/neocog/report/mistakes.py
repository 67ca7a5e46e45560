"""The mistakes that a classifier was most sure of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from neocog.data import ImageSet
from neocog.evaluation import Evaluation
from neocog.report import grid
from neocog.report.canvas import GRAY, INK, ORANGE, picture
from neocog.report.fonts import LEFT_TO_RIGHT, Lettering, shorten

_CELL = 1.5  # inches, room for what was said and how surely


def plot_mistakes(
    images: ArrayLike,
    true: Sequence[str],
    predicted: Sequence[str],
    confidence: Sequence[float],
    path: Path | str,
    *,
    title: str,
    losses: Sequence[float] | None = None,
    most: int = 36,
) -> Path:
    """Draw the first `most` mistakes in the order given: what each was taken for, how surely, what it is;
    gives `path`.

    `images`: uint8 (N, C, H, W), C = 1 or 3, array or CPU tensor; `confidence`: probabilities in 0..1 of the
    predicted classes; `losses` are shown where they are given. Without any mistake the picture says so. Raises
    `DataError` for another shape or type, or where the numbers of images, labels, confidences and losses differ.
    """
    pixels = grid.as_pixels(images)
    grid.check_counts(len(pixels), true=len(true), predicted=len(predicted), confidence=len(confidence))
    if losses is not None:
        grid.check_counts(len(pixels), losses=len(losses))
    pixels = pixels[:most]
    rows, columns = grid.shape_of(max(len(pixels), 1), most_columns=6)
    size = (max(columns * _CELL, 4.4), rows * (_CELL + 0.32) + grid.MARGIN)
    with picture(path, size, [title, *true[:most], *predicted[:most]]) as (figure, letters):
        if len(pixels) == 0:
            figure.text(0.5, 0.45, "no mistakes among these images", ha="center", va="center", color=GRAY)
        else:
            cells = grid.show(figure, pixels, rows, columns)
            told = [""] * len(cells) if losses is None else [f", loss {loss:.1f}" for loss in losses]
            for cell, is_a, guess, sure, more in zip(cells, true, predicted, confidence, told, strict=False):
                _caption(cell, letters, is_a, guess, sure, more)
        figure.suptitle(letters.drawable(shorten(title, round(size[0] * 9))))
    return Path(path)


def plot_top_losses(images: ImageSet, evaluation: Evaluation, path: Path | str, *, title: str, most: int = 36) -> Path:
    """Draw the wrong answers of an evaluation of `images` that have the largest loss, largest first; gives `path`."""
    chosen = evaluation.wrong_by_loss()[:most]
    return plot_mistakes(
        images.images[torch.from_numpy(chosen)],
        [evaluation.classes[label] for label in evaluation.labels[chosen]],
        [evaluation.classes[label] for label in evaluation.predicted[chosen]],
        evaluation.confidence[chosen].tolist(),
        path,
        title=title,
        losses=evaluation.losses[chosen].tolist(),
        most=most,
    )


def _caption(cell: Axes, letters: Lettering, true: str, predicted: str, confidence: float, more: str) -> None:
    share = f"{100 * confidence:.0f} %"
    guess = f"said {shorten(predicted, 17 - len(share))}{LEFT_TO_RIGHT} ({share})"
    cell.set_title(letters.drawable(guess), fontsize=8.5, color=ORANGE, pad=14)
    truth = f"is {shorten(true, 21 - len(more))}{LEFT_TO_RIGHT if more else ''}{more}"
    cell.annotate(
        letters.drawable(truth), xy=(0.5, 1), xycoords="axes fraction",
        xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8.5, color=INK,
    )  # fmt: skip
