"""What all pictures share: colours, letters, and a figure that is written whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neocog.files import whole_file
from neocog.report.fonts import Lettering, lettering

# Okabe and Ito's colours, which the colour-blind tell apart, and grays for what should stay behind.
BLUE = "#0072B2"
ORANGE = "#D55E00"
INK = "#222222"
GRAY = "#6B6B6B"
LINE = "#D9D9D9"

DOTS_PER_INCH = 110
_STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRAY,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "font.size": 10,
    "figure.titlesize": 13,
    "legend.frameon": False,
    # A class may be called "$5": its name is text, not mathematics.
    "text.parse_math": False,
    "text.usetex": False,
}


@contextlib.contextmanager
def picture(path: Path | str, size: tuple[float, float], texts: Iterable[str]) -> Iterator[tuple[Figure, Lettering]]:
    """Give a figure of `size` (width and height in inches) whose letters suit `texts`; on leaving it is at
    `path`.

    The look does not depend on the user's Matplotlib settings, which are as before afterwards. Equal figures
    give equal bytes. Raises `NeocogError` where the file cannot be written; what stood there then stays.
    """
    letters = lettering(texts)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        style: dict[str, Any] = {**_STYLE, "font.family": list(letters.families)}
        matplotlib.rcParams.update(style)
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure, letters
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})
