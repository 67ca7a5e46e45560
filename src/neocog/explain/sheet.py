"""A picture made of sections below each other, each as tall as it needs to be; all lengths in inches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neocog.report.canvas import GRAY, INK, LINE, picture
from neocog.report.fonts import Lettering

MARGIN = 0.3
_HEAD = 0.38
_GAP = 0.25


@dataclass(frozen=True)
class Area:
    """The part of a figure that a section draws into: `top` is its distance from the figure's upper edge."""

    figure: Figure
    letters: Lettering
    top: float
    width: float

    def axes(self, left: float, top: float, width: float, height: float, *, frame: bool = False) -> Axes:
        """Give axes at a place within the area, without ticks."""
        across, down = self.figure.get_size_inches()
        below = down - self.top - top - height
        axes = self.figure.add_axes(((MARGIN + left) / across, below / down, width / across, height / down))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(frame)
        axes.spines[:].set_color(LINE)
        return axes

    def write(
        self, left: float, top: float, text: str, *, size: float = 9, color: str = INK, align: str = "left",
        middle: bool = False,
    ) -> None:  # fmt: skip
        """Write a line with its upper edge (or, with `middle`, its middle) at a place within the area."""
        across, down = self.figure.get_size_inches()
        self.figure.text(
            (MARGIN + left) / across, 1 - (self.top + top) / down, self.letters.drawable(text), fontsize=size,
            color=color, ha=align, va="center" if middle else "top",
        )  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A part of the picture: its heading, the height of what is below it, and the function that draws that."""

    title: str
    height: float
    draw: Callable[[Area], None]


def draw_sheet(path: Path | str, title: str, sections: Sequence[Section], width: float, texts: Iterable[str]) -> Path:
    """Draw the sections below each other into a PNG file; gives its path."""
    height = 2 * MARGIN + _HEAD + sum(section.height + _HEAD + _GAP for section in sections) - _GAP
    with picture(path, (width, height), [title, *texts]) as (figure, letters):
        figure.set_layout_engine("none")
        top = MARGIN
        Area(figure, letters, top, width - 2 * MARGIN).write(0, 0, title, size=13)
        top += _HEAD
        for section in sections:
            Area(figure, letters, top, width - 2 * MARGIN).write(0, 0.08, section.title, size=10, color=GRAY)
            top += _HEAD
            section.draw(Area(figure, letters, top, width - 2 * MARGIN))
            top += section.height + _GAP
    return Path(path)
