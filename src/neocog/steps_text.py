"""One step of a moving window as plain text: the window, the kernel, the products and their sum side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from neocog.textbook.step import Step

Numbers: TypeAlias = NDArray[np.float64]

PADDING_MARK = "·"
_ELLIPSIS = "…"
_LARGEST_PLAIN = 1e7
_SMALLEST_PLAIN = 1e-6
_FEW = 4
_LEAST_COLUMNS = 3


def step_text(
    step: Step,
    *,
    digits: int = 2,
    size: Sequence[int] | None = None,
    channels: int = 4,
    taps: int = 11,
    width: int = 120,
    title: bool = True,
) -> str:
    """Write out one output value: what the window saw, the weights, the products and how they add up.

    Whole numbers are written as such, others with `digits` digits after the point (more where all are small), the
    sums with two more. A tap that lies in the padding is a dot, or its value in brackets where that is not zero.

    Args:
        step: the step; its arrays are (C, H, W) or (C, length).
        digits: digits after the point of numbers that are not whole.
        size: (height, width) or (length,) of the input, which tells the padding behind its end; without it only
            the padding before its beginning is known.
        channels: how many channels are shown; the others are one line with their sum.
        taps: how many rows and columns of the window are shown at most.
        width: columns are left out until a line has at most so many characters; three are always shown.
        title: whether the first line says which output it is and which part of the input the window sees.

    Returns:
        Lines of plain text without a final line end.
    """
    padded = _padded(step, size)
    shown = len(step.window) if len(step.window) <= channels else max(1, channels - 1)
    arrays = [step.window] if step.kernel is None else [step.window, step.kernel, step.products]
    marked = [None if array is step.kernel else padded for array in arrays]
    cells = [_cells(array[:shown], digits, mark) for array, mark in zip(arrays, marked, strict=True)]
    cells = _cropped(cells, taps, width)
    lines = [_title(step)] if title else []
    lines += _in_lines(step, cells, digits) if cells[0].shape[1] == 1 else _in_blocks(step, cells, digits)
    lines += [*_rest(step, shown, digits), f"  {_total(step, digits)}", *_padding_note(step, padded)]
    return "\n".join(lines)


def numbers_text(values: Numbers | Sequence[float], digits: int = 2) -> list[str]:
    """Write numbers in one format for all of them; an array in the order of its memory.

    Whole numbers stay whole; otherwise each has `digits` digits after the point, more where all are small.
    """
    flat = [float(value) for value in np.ravel(values)]
    finite = [value for value in flat if math.isfinite(value)]
    largest = max(map(abs, finite), default=0.0)
    if largest < _LARGEST_PLAIN and all(value.is_integer() for value in finite):
        return [str(int(value)) if math.isfinite(value) else str(value) for value in flat]
    if not _SMALLEST_PLAIN <= largest < _LARGEST_PLAIN:
        return [f"{value:.{digits}e}" for value in flat]
    decimals = max(digits, digits - 1 - math.floor(math.log10(largest)))
    return [_signless_zero(f"{value:.{decimals}f}") for value in flat]


def _signless_zero(text: str) -> str:
    return text.removeprefix("-") if text.startswith("-") and not text.strip("-0.") else text


def _title(step: Step) -> str:
    taps = step.window.shape[1:]
    spacing = step.dilation[-len(taps) :]
    spans = [_span(*axis) for axis in zip(step.start, taps, spacing, strict=True)]
    place = f"channel {step.channel} of the output"
    if len(taps) == 1:
        return f"{place}, place {step.position[0]}, sees place{spans[0]} of the input"
    row, column = step.position
    return f"{place}, row {row}, column {column}, sees row{spans[0]} and column{spans[1]} of the input"


def _span(first: int, taps: int, gap: int) -> str:
    if taps == 1:
        return f" {first}"
    return f"s {first} to {first + (taps - 1) * gap}" + ("" if gap == 1 else f" in steps of {gap}")


def _padded(step: Step, size: Sequence[int] | None) -> NDArray[np.bool_]:
    """Whether each tap of one channel lies outside of the input."""
    taps = step.window.shape[1:]
    outside = np.zeros(taps, dtype=np.bool_)
    for axis, (first, count, gap) in enumerate(zip(step.start, taps, step.dilation[-len(taps) :], strict=True)):
        places = first + gap * np.arange(count)
        beyond = places < 0 if size is None else (places < 0) | (places >= size[axis])
        outside |= beyond.reshape([-1 if other == axis else 1 for other in range(len(taps))])
    return outside


def _padding_note(step: Step, padded: NDArray[np.bool_]) -> list[str]:
    values = step.window[:, padded]
    if not values.size:
        return []
    if not np.isfinite(values).any():
        return [f"  {PADDING_MARK} lies in the padding and is never the largest"]
    if not values.any():
        return [f"  {PADDING_MARK} lies in the padding and counts as 0"]
    return ["  what stands in brackets lies in the padding"]


def _cells(array: Numbers, digits: int, padded: NDArray[np.bool_] | None) -> NDArray[np.object_]:
    """The numbers of some channels as text of one width, (channels, rows, columns)."""
    texts = np.array(numbers_text(array, digits), dtype=object).reshape(array.shape)
    if padded is not None:
        for place in zip(*np.nonzero(np.broadcast_to(padded, array.shape)), strict=True):
            value = array[place]
            texts[place] = PADDING_MARK if value == 0 or not math.isfinite(value) else f"({texts[place]})"
    widest = max(map(len, texts.ravel()))
    even = np.array([text.rjust(widest) for text in texts.ravel()], dtype=object)
    return even.reshape(len(array), -1, array.shape[-1])


def _cropped(cells: list[NDArray[np.object_]], taps: int, width: int) -> list[NDArray[np.object_]]:
    """Leave out rows and columns that are too many, with an ellipsis in their place."""
    _, rows, columns = cells[0].shape
    room = width - 8 * len(cells)
    fitting = min(taps, max(_LEAST_COLUMNS, room // sum(len(array[0, 0, 0]) + 1 for array in cells)))
    for place, array in enumerate(cells):
        ellipsis = _ELLIPSIS.rjust(len(array[0, 0, 0]))
        if columns > fitting:
            array = array[:, :, :fitting].copy()
            array[:, :, -1] = ellipsis
        if rows > taps:
            array = array[:, :taps].copy()
            array[:, -1] = ellipsis
        cells[place] = array
    return cells


def _in_blocks(step: Step, cells: list[NDArray[np.object_]], digits: int) -> list[str]:
    """The arrays of each channel side by side under their heads, a row of the window a line."""
    many = len(step.window) > 1
    sums = _sums(step, digits)
    lines = []
    for channel in range(len(cells[0])):
        heads = [f"channel {channel}" if many else "window", "kernel", "products"][: len(cells)]
        if many and len(cells) > 1:
            heads[-1] += f", sum {sums[channel]}"
        drawn = [_rows(array[channel]) for array in cells]
        widths = [max(len(rows[0]), len(head)) for head, rows in zip(heads, drawn, strict=True)]
        lines.append(_joined(heads, widths, "     ", "     "))
        for row in range(len(drawn[0])):
            middle = row == (len(drawn[0]) - 1) // 2
            lines.append(
                _joined([rows[row] for rows in drawn], widths, *(("  *  ", "  =  ") if middle else ("     ",) * 2))
            )
    return lines


def _in_lines(step: Step, cells: list[NDArray[np.object_]], digits: int) -> list[str]:
    """A line a channel, where the window has but one row."""
    sums = _sums(step, digits)
    names = [f"channel {channel}  " if len(step.window) > 1 else "" for channel in range(len(cells[0]))]
    lines = []
    for channel, name in enumerate(names):
        drawn = [_rows(array[channel])[0] for array in cells]
        text = _joined(drawn, [len(row) for row in drawn], " * ", " = ").strip()
        several = len(names) > 1 and len(drawn) > 1 and step.window.shape[-1] > 1
        lines.append(f"  {name:<{len(names[-1])}}{text}" + (f"  sum {sums[channel]}" if several else ""))
    return lines


def _rows(cells: NDArray[np.object_]) -> list[str]:
    return [f"[{' '.join(row)}]" for row in cells.tolist()]


def _joined(parts: list[str], widths: list[int], *signs: str) -> str:
    padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
    return (
        "  " + "".join(part + sign for part, sign in zip(padded, [*signs[: len(parts) - 1], ""], strict=True)).rstrip()
    )


def _sums(step: Step, digits: int) -> list[str]:
    """The sum of each channel's products, then of all, then the bias and the value, all in one format."""
    sums = [float(block.sum()) for block in step.products]
    if step.kernel is None:
        return numbers_text([step.value], digits + 2)
    return numbers_text([*sums, float(step.products.sum()), step.bias, step.value], digits + 2)


def _rest(step: Step, shown: int, digits: int) -> list[str]:
    left = step.products[shown:]
    if not len(left):
        return []
    text = f"  {_ELLIPSIS} {len(left)} more channel" + ("" if len(left) == 1 else "s")
    return [text if step.kernel is None else f"{text}, sum {numbers_text([left.sum()], digits + 2)[0]}"]


def _total(step: Step, digits: int) -> str:
    if step.kernel is None:
        return _of_window(step, digits + 2)
    *parts, together, bias, value = _sums(step, digits)
    if 1 < len(parts) <= _FEW:
        signed = (f" - {part[1:]}" if part[0] == "-" else f" + {part}" for part in parts[1:])
        together = f"{parts[0]}{''.join(signed)} = {together}"
    return f"sum {together}, plus bias {bias} = {value}" if step.bias else f"sum {together}"


def _of_window(step: Step, digits: int) -> str:
    total = float(step.products.sum())
    value, summed = numbers_text([step.value], digits)[0], numbers_text([total], digits)[0]
    if step.kind == "mean":
        return f"mean {summed} / {step.divisor} = {value}"
    return f"{step.kind} {value}"
