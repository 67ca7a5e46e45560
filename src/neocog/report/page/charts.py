"""Charts as SVG text: their colours are the page's, in the light and in the dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 420.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 24.0, 12.0, 42.0


@dataclass(frozen=True)
class Line:
    """A line through `points` (x, y), of which those that are not finite leave a gap; `kind` is its CSS class."""

    points: Points
    kind: str


@dataclass(frozen=True)
class Axis:
    """An axis: what it says, where it begins and ends, and how its numbers are written."""

    label: str
    low: float
    high: float
    written: Callable[[float], str]
    whole: bool = False

    def ticks(self) -> list[float]:
        """Round numbers between the ends, about five."""
        found = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10], integer=self.whole).tick_values(self.low, self.high)
        slack = (self.high - self.low) * 1e-9
        return [float(value) for value in found if self.low - slack <= value <= self.high + slack]


def percent(value: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * value:.4g} %"


def plain(value: float) -> str:
    """Write a number in a few digits."""
    return f"{value:.4g}"


def line_chart(lines: Sequence[Line], x: Axis, y: Axis, *, told: str, mark: tuple[float, float] | None = None) -> str:
    """Draw lines over two axes; `told` says in words what is to be seen, `mark` is a point to point out."""
    parts = [_axes(x, y), *(_path(line, x, y) for line in lines)]
    parts += [_dots(line, x, y) for line in lines if len(line.points) <= 30]
    if mark is not None and all(map(math.isfinite, mark)):
        parts.append(f'<circle class="mark" cx="{_across(x, mark[0])}" cy="{_up(y, mark[1])}" r="6"/>')
    return _svg("".join(parts), told)


def reliability_chart(bins: Sequence[tuple[float, float, int]], *, told: str) -> str:
    """Draw how often answers of each confidence are right.

    `bins`: (mean confidence, share that is right, number of images) of each bin that has images; a bar stands at each,
    the diagonal is where perfectly calibrated probabilities would end.
    """
    x, y = Axis("confidence", 0.0, 1.0, percent), Axis("right", 0.0, 1.0, percent)
    most = max((count for _, _, count in bins), default=1)
    parts = [_axes(x, y), _path(Line([(0.0, 0.0), (1.0, 1.0)], "ideal"), x, y)]
    for confidence, right, count in bins:
        # Few images say little: their bar is narrow.
        wide = 4 + 14 * math.sqrt(count / most)
        across, top, foot = _across(x, confidence), _up(y, right), _up(y, 0.0)
        noun = "image" if count == 1 else "images"
        parts.append(
            f'<rect class="bar" x="{across - wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" '
            f'height="{foot - top:.1f}"><title>{count:,} {noun} of {percent(confidence)}: {percent(right)} right'
            f"</title></rect>"
        )
        parts.append(f'<path class="gap" d="M{across:.1f} {top:.1f}V{_up(y, confidence):.1f}"/>')
    return _svg("".join(parts), told)


def _svg(inside: str, told: str) -> str:
    told = escape(told, quote=True)
    return f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{told}">{inside}</svg>'


def _across(axis: Axis, value: float) -> float:
    share = (value - axis.low) / ((axis.high - axis.low) or 1)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _up(axis: Axis, value: float) -> float:
    share = (value - axis.low) / ((axis.high - axis.low) or 1)
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axes(x: Axis, y: Axis) -> str:
    foot, end = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in y.ticks():
        height = _up(y, value)
        parts.append(f'<path class="grid" d="M{_LEFT} {height}H{end}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{height + 4}" text-anchor="end">{escape(y.written(value))}</text>')
    for value in x.ticks():
        across = _across(x, value)
        parts.append(f'<text x="{across}" y="{foot + 17}" text-anchor="middle">{escape(x.written(value))}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {foot}H{end}"/>')
    middle = (_LEFT + end) / 2
    parts.append(f'<text class="label" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    parts.append(
        f'<text class="label" transform="translate(13 {(_TOP + foot) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.label)}</text>'
    )
    return "".join(parts)


def _path(line: Line, x: Axis, y: Axis) -> str:
    steps, pen = [], "M"
    for across, up in line.points:
        if not math.isfinite(up):
            pen = "M"
            continue
        steps.append(f"{pen}{_across(x, across)} {_up(y, up)}")
        pen = "L"
    return f'<path class="line {line.kind}" d="{"".join(steps)}"/>' if steps else ""


def _dots(line: Line, x: Axis, y: Axis) -> str:
    return "".join(
        f'<circle class="dot {line.kind}" cx="{_across(x, across)}" cy="{_up(y, up)}" r="2.5"/>'
        for across, up in line.points
        if math.isfinite(up)
    )
