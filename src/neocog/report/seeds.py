"""Loss and accuracy over the epochs of the same training with several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.report.canvas import BLUE, GRAY, ORANGE, picture
from neocog.report.fonts import shorten

_SOURCES = (("train", "training", BLUE, "--"), ("valid", "validation", ORANGE, "-"))


def plot_seeds(
    histories: Sequence[Sequence[Mapping[str, Any]]],
    path: Path | str,
    *,
    title: str,
    compared: Mapping[str, float] | None = None,
    compared_label: str = "published",
) -> Path:
    """Draw loss (left) and accuracy (right) by epoch: a thin line a seed, their mean bold; gives `path`.

    `histories`: for each seed a row an epoch with `train_loss`, `train_accuracy`, `valid_loss`, `valid_accuracy`
    (accuracies in 0..1; a missing, empty or not finite value leaves a gap). The mean goes as far as every seed was
    trained. `compared` gives figures to draw as a dotted line across: `loss`, `accuracy` in 0..1, or both.
    Raises `NeocogError` where no seed has an epoch, and for a file that cannot be written.
    """
    seeds = [history for history in histories if history]
    if not seeds:
        raise NeocogError("there is no epoch to draw yet. Train for at least one epoch first.")
    number = f"{len(seeds)} seeds" if len(seeds) > 1 else "1 seed"
    heading = f"{shorten(title, 80)}, {number}"
    with picture(path, (10, 4.2), [heading]) as (figure, letters):
        loss_axes, accuracy_axes = figure.subplots(1, 2)
        for axes, name in ((loss_axes, "loss"), (accuracy_axes, "accuracy")):
            _draw(axes, seeds, name)
            if compared and name in compared:
                axes.axhline(compared[name], color=GRAY, linestyle=":", linewidth=1.6, label=compared_label)
        accuracy_axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
        figure.suptitle(letters.drawable(heading))
        drawn: dict[Any, Any] = {}
        for axes in (loss_axes, accuracy_axes):
            handles, labels = axes.get_legend_handles_labels()
            drawn |= dict(zip(labels, handles, strict=True))
        figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=max(len(drawn), 1))
    return Path(path)


def _draw(axes: Axes, seeds: Sequence[Sequence[Mapping[str, Any]]], figure: str) -> None:
    longest = max(map(len, seeds))
    for source, label, colour, line in _SOURCES:
        values = [_values(history, f"{source}_{figure}") for history in seeds]
        if not any(np.isfinite(column).any() for column in values):
            continue
        if len(seeds) > 1:
            for column in values:
                axes.plot(range(1, len(column) + 1), column, line, color=colour, linewidth=0.8, alpha=0.45)
        common = min(map(len, values))
        mean = np.mean([column[:common] for column in values], axis=0)
        marker = "o" if common <= 30 else ""
        of = ", mean" if len(seeds) > 1 else ""
        axes.plot(
            range(1, common + 1), mean, line, color=colour, linewidth=2.2, marker=marker, markersize=3.5,
            label=f"{label}{of}",
        )  # fmt: skip
    axes.set_title(figure)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, longest + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=10))
    axes.grid(axis="y")
    axes.margins(y=0.1)


def _values(history: Sequence[Mapping[str, Any]], column: str) -> NDArray[np.float64]:
    values = [row.get(column) for row in history]
    numbers = [math.nan if value is None or value == "" else float(value) for value in values]
    return np.array([value if math.isfinite(value) else math.nan for value in numbers])
