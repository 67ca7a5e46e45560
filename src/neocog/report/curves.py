"""Loss and accuracy over the epochs of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from neocog.errors import NeocogError
from neocog.report.canvas import BLUE, GRAY, ORANGE, picture
from neocog.report.fonts import Lettering, shorten

_SOURCES = (("train", "training", BLUE, "--"), ("valid", "validation", ORANGE, "-"))


def plot_curves(history: Sequence[Mapping[str, Any]], path: Path | str, *, title: str, best: int | None = None) -> Path:
    """Draw loss (left) and accuracy (right) of training and validation by epoch; gives `path`.

    `history`: a row an epoch with `epoch`, `stage`, `train_loss`, `train_accuracy`, `valid_loss`,
    `valid_accuracy` (accuracies in 0..1; a missing, empty, None or not finite value leaves a gap). Rows stand
    at 1, 2, … in their order, so that the epochs of later stages follow those of earlier ones, with a border
    between two stages. `best`: index of the row whose weights were kept; left out, that of the lowest
    validation loss (training loss without validation). Raises `NeocogError` for an empty history or a file
    that cannot be written.
    """
    if not history:
        raise NeocogError("there is no epoch to draw yet. Train for at least one epoch first.")
    stages = [str(row.get("stage") or "") for row in history]
    best = _best(history) if best is None else best
    with picture(path, (10, 4.2), [title, *stages]) as (figure, letters):
        loss_axes, accuracy_axes = figure.subplots(1, 2)
        _draw(loss_axes, history, "loss", best)
        _draw(accuracy_axes, history, "accuracy", best)
        accuracy_axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        for axes in (loss_axes, accuracy_axes):
            _mark_stages(axes, stages, letters)
        figure.suptitle(letters.drawable(shorten(title, 100)))
        handles, labels = loss_axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return Path(path)


def _draw(axes: Axes, history: Sequence[Mapping[str, Any]], figure: str, best: int | None) -> None:
    epochs = range(1, len(history) + 1)
    for source, label, colour, line in _SOURCES:
        values = [_number(row.get(f"{source}_{figure}")) for row in history]
        if not any(math.isfinite(value) for value in values):
            continue
        marker = "o" if len(history) <= 30 else ""
        axes.plot(epochs, values, line, color=colour, marker=marker, markersize=3.5, label=label)
        if best is not None and source == _monitored(history) and math.isfinite(values[best]):
            axes.plot(
                best + 1, values[best], "*", color=colour, markersize=13, markeredgecolor="white", zorder=3,
                label=f"best epoch ({best + 1})",
            )  # fmt: skip
    axes.set_title(figure)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, len(history) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=10))
    axes.grid(axis="y")
    axes.margins(y=0.1)


def _mark_stages(axes: Axes, stages: Sequence[str], letters: Lettering) -> None:
    starts = [place for place, stage in enumerate(stages) if place == 0 or stage != stages[place - 1]]
    if len(starts) < 2:
        return
    room = 46 // len(starts)
    for start in starts:
        if start:
            axes.axvline(start + 0.5, color=GRAY, linewidth=0.8, linestyle=":")
        axes.text(
            (start + 0.5 - 0.5) / len(stages) + 0.01, 0.99, letters.drawable(shorten(stages[start], max(room,
            4))), transform=axes.transAxes, va="top", ha="left", fontsize=8, color=GRAY,
        )  # fmt: skip


def _best(history: Sequence[Mapping[str, Any]]) -> int | None:
    losses = [_number(row.get(f"{_monitored(history)}_loss")) for row in history]
    finite = [place for place, loss in enumerate(losses) if math.isfinite(loss)]
    return min(finite, key=losses.__getitem__, default=None)


def _monitored(history: Sequence[Mapping[str, Any]]) -> str:
    validated = any(math.isfinite(_number(row.get("valid_loss"))) for row in history)
    return "valid" if validated else "train"


def _number(value: object) -> float:
    if value is None or value == "":
        return math.nan
    number = float(str(value))
    return number if math.isfinite(number) else math.nan


def _percent(value: float, _: object) -> str:
    return f"{100 * value:.4g} %"
