"""Accuracy on images that are shifted farther and farther."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from neocog.errors import NeocogError
from neocog.report.canvas import BLUE, ORANGE, picture
from neocog.report.fonts import shorten

_STYLES = ((ORANGE, "-", "o"), (BLUE, "--", "s"))


def plot_shift(accuracies: Mapping[str, Sequence[Sequence[float]]], path: Path | str) -> Path:
    """Draw the accuracy of one or two networks against the distance in pixels; gives `path`.

    `accuracies`: by the name of a network, for each seed the accuracies (0..1) at 0, 1, 2, … pixels, as many for all.
    A thin line a seed, the mean bold. Raises `NeocogError` for no or more than two networks, one without any values,
    and a file that cannot be written.
    """
    if not 1 <= len(accuracies) <= len(_STYLES):
        raise NeocogError(f"expected the accuracies of one or two networks; got those of {len(accuracies)}.")
    for name, seeds in accuracies.items():
        if not seeds or len({len(line) for line in seeds}) != 1 or not len(seeds[0]):
            raise NeocogError(f"{name}: expected for each seed as many accuracies, at least one.")
    with picture(path, (6.4, 4.4), accuracies) as (figure, letters):
        axes = figure.subplots()
        for (name, seeds), (colour, line, marker) in zip(accuracies.items(), _STYLES, strict=False):
            distances = range(len(seeds[0]))
            for values in seeds if len(seeds) > 1 else ():
                axes.plot(distances, values, line, color=colour, linewidth=0.8, alpha=0.45)
            axes.plot(
                distances, np.mean(seeds, axis=0), line, color=colour, linewidth=2.2, marker=marker, markersize=5,
                label=letters.drawable(shorten(name, 40)),
            )  # fmt: skip
        axes.set_title("Accuracy on shifted test images")
        axes.set_xlabel("shift in pixels, mean over up, down, left and right")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        axes.legend(loc="lower left")
    return Path(path)
