"""The arithmetic around one layer: why its map keeps its size or not, and what it would cost to connect everything."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NotationError
from neocog.notation import Conv, LayerShape, Window
from neocog.notation.words.base import count
from neocog.notation.words.windowed import Windowed

_LONGEST = 10**8


@dataclass(frozen=True)
class Connected:
    """The fully connected layer with the inputs and outputs of a convolution, which it can imitate.

    Attributes:
        inputs: values that come in, all channels together.
        outputs: values that go out.
        parameters: its weights, and a bias an output where the convolution has biases.
        macs: its multiply-accumulates for one image.
        weights: how many of its weights are not zero where it does what the convolution does.
        different: how many different ones are among these: the weights of the convolution.
    """

    inputs: int
    outputs: int
    parameters: int
    macs: int
    weights: int
    different: int


def connected(layer: LayerShape) -> Connected:
    """Work out the fully connected layer that does the same as a convolution.

    Raises:
        NotationError: the map with its padding is too large to count on.
    """
    conv = layer.layer
    if not isinstance(conv, Conv):
        raise TypeError(f"a convolution is expected, not {layer.text!r}")
    inputs, outputs = prod(layer.input_shape), prod(layer.output_shape)
    rows, columns = (int(counts.sum()) for counts in taking_part(conv, layer.input_shape))
    different = prod(layer.parameter_shapes["weight"])
    return Connected(
        inputs=inputs,
        outputs=outputs,
        parameters=(inputs + int(conv.bias)) * outputs,
        macs=inputs * outputs,
        weights=different // prod(conv.kernel) * rows * columns,
        different=different,
    )


def taking_part(layer: Windowed, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count for each row and each column of the input how many positions of the window see it, padding left out.

    Returns:
        int64 (height,) and (width,). The element at (i, j) takes part rows[i] * columns[j] times in each map.

    Raises:
        NotationError: the map with its padding is too large to count on.
    """
    rows, columns = (_counts(window) for window in layer.windows(shape))
    return rows, columns


def size_reasons(layer: Windowed, shape: tuple[int, ...]) -> list[str]:
    """Say why height and width stay, shrink or grow: one line, or one for the rows and one for the columns."""
    rows, columns = (_size_reason(window) for window in layer.windows(shape))
    return [rows] if rows == columns else [f"height {rows}", f"width {columns}"]


def _counts(window: Window) -> NDArray[np.int64]:
    length = window.before + window.size + window.after + window.dilation
    if length > _LONGEST:
        raise NotationError(f"a line of {length:,} values, padding included, is too long to count on.")
    # Each position adds one to every tap: up by one at its first, down by one behind its last, summed in steps of the
    # dilation.
    changes = np.zeros(-(-length // window.dilation) * window.dilation, dtype=np.int64)
    starts = np.arange(window.output) * window.stride
    changes[starts] += 1
    changes[starts + window.kernel * window.dilation] -= 1
    counts: NDArray[np.int64] = changes.reshape(-1, window.dilation).cumsum(axis=0).ravel()
    return counts[window.before : window.before + window.size]


def _size_reason(window: Window) -> str:
    taken, added = window.reach - 1, window.before + window.after
    if window.stride > 1:
        positions = f"{window.size} - {taken} + {added} = {count(window.room + 1, 'position')}"
        if not window.room:
            return f"{window.output}: there is {positions} alone, whatever the stride"
        return f"{window.output}: of the {positions} the stride stops at every {_ordinal(window.stride)}"
    product = f"({window.kernel} - 1)*{window.dilation}" if window.dilation > 1 else f"{window.kernel} - 1"
    lines = f"the window takes {product} = {count(taken, 'line')} away and the padding adds"
    return f"{_changed(window.output - window.size)}: {lines} {window.before} + {window.after} = {added}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _changed(change: int) -> str:
    if not change:
        return "stays"
    return f"{-change} smaller" if change < 0 else f"{change} larger"
