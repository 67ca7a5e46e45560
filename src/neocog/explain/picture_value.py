"""The part of an explanation's picture that works one value out: window, kernel, products, sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.explain.colours import SIGNED
from neocog.explain.pixel import PixelArithmetic, place_text
from neocog.explain.sheet import Area, Section
from neocog.report.canvas import GRAY, INK, ORANGE
from neocog.report.fonts import shorten
from neocog.steps_text import numbers_text
from neocog.textbook.step import Step

if TYPE_CHECKING:
    from neocog.explain.explanation import Explanation

_SIDE = 1.7
_SIGN = 0.42
_LINE = 0.19
_MOST_CHANNELS = 2
_MOST_NUMBERED = 7
_LONGEST = 128


def value_section(explanation: Explanation) -> Section:
    """Give the section that works one value out, with the layers around it that look at this value alone."""
    parts = explanation.chain
    heights = [_height(part) for part in parts]

    def paint(area: Area) -> None:
        top = 0.0
        for part, height in zip(parts, heights, strict=True):
            _draw_part(area, part, top)
            top += height

    place = place_text(explanation.pixel.place)
    title = f"how one value comes about: {explanation.layer}, {place}"
    return Section(title, sum(heights), paint)


def _height(part: PixelArithmetic) -> float:
    blocks = len(_channels(part.step)) * (_SIDE + 0.28) if part.step is not None and _is_map(part.step) else 0.0
    return (len(_words(part)) + 1) * _LINE + blocks + 0.08


def _draw_part(area: Area, part: PixelArithmetic, top: float) -> None:
    area.write(0, top, shorten(f"{part.layer}: {part.module}", _LONGEST), size=8.5, color=INK)
    top += _LINE
    if part.step is not None and _is_map(part.step):
        for channel in _channels(part.step):
            _draw_channel(area, part.step, channel, top)
            top += _SIDE + 0.28
    for line in _words(part):
        area.write(0.15, top, shorten(line, _LONGEST), size=8.5, color=INK if part.agrees else ORANGE)
        top += _LINE


def _words(part: PixelArithmetic) -> list[str]:
    """The lines below the arrays: what is not drawn, the sums, and what the network says."""
    lines, step = [line.strip() for line in part.lines], part.step
    if step is not None and step.kernel is not None:
        lines.append(_sum_text(step))
    elif step is not None:
        lines.append(f"{step.kind} {numbers_text([step.value], 4)[0]}")
    return [*lines, part.verdict()]


def _sum_text(step: Step) -> str:
    sums = step.products.reshape(len(step.products), -1).sum(1)
    drawn = _channels(step) if _is_map(step) else []
    others = float(sums.sum() - sums[drawn].sum())
    *parts, rest, total, bias, value = numbers_text([*sums[drawn], others, sums.sum(), step.bias, step.value], 4)
    text = f"sum {total}"
    if len(sums) > len(drawn) > 0:
        left = len(sums) - len(drawn)
        others_text = "the other input channel" if left == 1 else f"the other {left} input channels"
        text = f"sum {' + '.join(parts)} + {rest} ({others_text}) = {total}"
    elif len(drawn) > 1:
        text = f"sum {' + '.join(parts)} = {total}"
    return f"{text}, plus bias {bias} = {value}" if step.bias else text


def _is_map(step: Step) -> bool:
    return step.window.ndim == 3


def _channels(step: Step) -> list[int]:
    """The channels that are drawn: those whose products add the most, in their order."""
    sums = np.abs(step.products).sum((1, 2)) if _is_map(step) and step.kernel is not None else np.zeros(1)
    return sorted(np.argsort(-sums, kind="stable")[:_MOST_CHANNELS].tolist())


def _draw_channel(area: Area, step: Step, channel: int, top: float) -> None:
    head = f"window, input channel {channel}" if len(step.window) > 1 else "window"
    panels = [(head, step.window[channel], "")]
    if step.kernel is not None:
        panels += [("kernel", step.kernel[channel], "×"), ("products", step.products[channel], "=")]
    left, middle = 0.15, top + 0.2 + _SIDE / 2
    for name, array, sign in panels:
        if sign:
            area.write(left - _SIGN / 2, middle, sign, size=14, align="center", middle=True)
        area.write(left, top, name, size=8, color=GRAY)
        _draw_array(area, array, left, top + 0.2, gray=array is step.window[channel] or not sign)
        left += _SIDE + _SIGN
    if step.kernel is not None:
        total = numbers_text([float(step.products[channel].sum())], 4)[0]
        area.write(left - _SIGN / 2, middle, f"sum {total}", size=9, middle=True)


def _draw_array(area: Area, array: NDArray[np.float64], left: float, top: float, *, gray: bool) -> None:
    """Draw numbers as coloured cells, with the numbers in them where there are few enough."""
    axes = area.axes(left, top, _SIDE, _SIDE, frame=True)
    shown = np.where(np.isfinite(array), array, 0.0)
    most, gray = float(np.abs(shown).max()) or 1.0, gray and shown.min() >= 0
    low, colours = (0.0, "gray") if gray else (-most, SIGNED)
    axes.imshow(shown, cmap=colours, vmin=low, vmax=most, interpolation="nearest", aspect="auto")
    if max(array.shape) > _MOST_NUMBERED:
        return
    size = 9 - 0.45 * max(array.shape)
    for place, text in zip(np.ndindex(array.shape), numbers_text(array, 2), strict=True):
        dark = shown[place] < 0.5 * most if gray else abs(shown[place]) > 0.7 * most
        axes.text(place[1], place[0], text, ha="center", va="center", fontsize=size, color="white" if dark else INK)
