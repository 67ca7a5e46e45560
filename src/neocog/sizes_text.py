"""What `neocog conv` and `neocog pool` say of one layer, and its first steps on made numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from neocog.arithmetic import connected, size_reasons, taking_part
from neocog.errors import RecipeError
from neocog.notation import Conv, LayerShape, field_text, shape_text
from neocog.notation.words.pool import AvgPool, MaxPool
from neocog.notation.words.windowed import Windowed
from neocog.steps_text import step_text
from neocog.textbook.step import Step
from neocog.textbook.steps import correlation_steps, pool_steps

_LABEL = 15
_ENDS = 5
_LARGEST_DRAWN = 1_000_000


def conv_text(layer: LayerShape) -> str:
    """Write out a convolution and, beside it, the fully connected layer that does the same; plain text."""
    conv, full = _conv(layer), connected(layer)
    inputs, outputs = ("*".join(map(str, shape)) for shape in (layer.input_shape, layer.output_shape))
    each = f"({inputs} + 1)" if conv.bias else inputs
    zeros = full.macs - full.weights
    used = f"{full.weights:,} are needed to do the same, copies of {full.different:,}; the other {zeros:,} are zero"
    lines = [
        *_head(layer),
        "",
        "A fully connected layer with the same inputs and outputs:",
        _line("parameters", f"{each} * {outputs} = {full.parameters:,}{_times(full.parameters, layer.parameters)}"),
        _line("MACs", f"{inputs} * {outputs} = {full.macs:,}{_times(full.macs, layer.macs)}"),
        _line("of its weights", used),
    ]
    return "\n".join([*lines, *_note(layer)])


def pool_text(layer: LayerShape) -> str:
    """Write out a pooling layer; plain text."""
    return "\n".join([*_head(layer), *_note(layer)])


def steps_drawn(layer: LayerShape, steps: int) -> str:
    """Draw the first steps of a convolution or a pool on a made input of small whole numbers; plain text.

    The part of the input that these steps see is made, never the whole; a convolution shows its first kernel.

    Raises:
        RecipeError: that part is too large to be drawn.
    """
    steps = min(steps, math.prod(layer.output_shape[-2:]))
    noun = "step" if steps == 1 else f"{steps:,} steps"
    made = "an input" if not isinstance(layer.layer, Conv) else "an input, a kernel and a bias"
    lines = [f"The first {noun}, on {made} made up of small whole numbers:"]
    size = layer.input_shape[1:]
    for step in islice(_steps(layer, steps), steps):
        lines += ["", step_text(step, size=size, channels=3)]
    return "\n".join([*lines, "", *_taking_part(layer)])


def _head(layer: LayerShape) -> list[str]:
    reason = layer.layer.reason(layer.input_shape)
    sizes = size_reasons(_windowed(layer), layer.input_shape)
    return [
        f"{layer.text} on {shape_text(layer.input_shape)}",
        "",
        _line("output", reason.output),
        *(_line("size" if place == 0 else "", text) for place, text in enumerate(sizes)),
        _line("parameters", reason.parameters or "none"),
        _line("MACs", reason.macs or "none: nothing is multiplied by a weight"),
        _line("receptive field", field_text(layer.view_out)),
        _line("PyTorch", layer.torch),
    ]


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL}}  {text}"


def _times(large: int, small: int) -> str:
    if large == small:
        return ", just as many"
    ratio = large / small
    return f", {ratio:,.0f} times as many" if ratio >= 10 else f", {ratio:.3g} times as many"


def _note(layer: LayerShape) -> list[str]:
    return ["", layer.note] if layer.note else []


def _steps(layer: LayerShape, steps: int) -> Iterator[Step]:
    windowed, channels = _windowed(layer), layer.input_shape[0]
    rows, columns = windowed.windows(layer.input_shape)
    # What lies further down or to the right is not seen by these steps, nor is the padding behind it.
    height = min(rows.size, rows.reach + steps * rows.stride)
    width = min(columns.size, columns.reach + steps * columns.stride)
    seen = channels // windowed.groups if isinstance(windowed, Conv) else 1
    if seen * height * width > _LARGEST_DRAWN:
        raise RecipeError(
            f"the first {steps:,} steps see {seen * height * width:,} numbers, too many to draw; at most "
            f"{_LARGEST_DRAWN:,}. Ask for fewer steps or a smaller kernel."
        )
    if isinstance(windowed, Conv):
        kernel = _made_kernel((1, seen, *windowed.kernel))
        return correlation_steps(
            _made_input((seen, height, width)),
            kernel,
            [1.0] if windowed.bias else None,
            stride=windowed.stride,
            padding=windowed.padding,
            dilation=windowed.dilation,
        )
    if not isinstance(windowed, MaxPool | AvgPool):
        raise TypeError(f"a convolution or a pool is expected, not {layer.text!r}")
    return pool_steps(
        _made_input((seen, height, width)),
        windowed.kernel,
        stride=windowed.stride,
        padding=windowed.padding,
        kind="max" if isinstance(windowed, MaxPool) else "average",
    )


def _made_input(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    channel, row, column = np.indices(shape)
    return np.asarray((2 * row + 3 * column + row * column + channel) % 7, dtype=np.float64)


def _made_kernel(shape: tuple[int, int, int, int]) -> NDArray[np.float64]:
    _, channel, row, column = np.indices(shape)
    return np.asarray((channel + row + 2 * column) % 3 - 1, dtype=np.float64)


def _taking_part(layer: LayerShape) -> list[str]:
    """How often the elements of the input take part: in words where it is the same for all, else as a cropped map."""
    rows, columns = taking_part(_windowed(layer), layer.input_shape)
    least, most = int(rows.min() * columns.min()), int(rows.max() * columns.max())
    if least == most:
        times = {1: "once", 2: "twice"}.get(most, f"{most:,} times")
        return [f"Each element of a channel takes part {times} in a map."]
    end = "; 0 is never seen" if least == 0 else ""
    lines = [f"How often the elements of a channel take part in a map, {least:,} to {most:,} times{end}:"]
    shown_rows, shown_columns = _ends(len(rows)), _ends(len(columns))
    cells = [
        ["…" if None in (row, column) else str(rows[row] * columns[column]) for column in shown_columns]
        for row in shown_rows
    ]
    width = max(len(cell) for line in cells for cell in line)
    return [*lines, *("  " + " ".join(cell.rjust(width) for cell in line) for line in cells)]


def _ends(length: int) -> list[int | None]:
    """The first and last places of a line, with None for those between that are left out."""
    if length <= 2 * _ENDS + 1:
        return list(range(length))
    return [*range(_ENDS), None, *range(length - _ENDS, length)]


def _windowed(layer: LayerShape) -> Windowed:
    if not isinstance(layer.layer, Windowed):
        raise TypeError(f"a layer with a window is expected, not {layer.text!r}")
    return layer.layer


def _conv(layer: LayerShape) -> Conv:
    if not isinstance(layer.layer, Conv):
        raise TypeError(f"a convolution is expected, not {layer.text!r}")
    return layer.layer
