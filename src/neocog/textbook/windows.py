"""Where a window stands as it slides over its input: kernel, stride, padding and dilation, along any number of axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from types import EllipsisType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError

Array: TypeAlias = NDArray[np.float64]
Sizes: TypeAlias = int | tuple[int, ...]
Padding: TypeAlias = int | tuple[int, ...] | Literal["valid", "same", "full"]
Place: TypeAlias = tuple[int, ...]
Index: TypeAlias = tuple[EllipsisType | slice | int, ...]

_NAMES = ("valid", "same", "full")


@dataclass(frozen=True)
class Windows:
    """All places of a window on an input, in reading order; one number an axis in each attribute.

    Attributes:
        size: how many lines the input has.
        kernel: how many taps the window has.
        stride: how far the window moves at a time.
        margins: lines of padding (before, after).
        dilation: distance between neighbouring taps.
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    margins: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def starts(self) -> tuple[range, ...]:
        """The places of the first tap, counted in the padded input: as many as the stride allows and fit."""
        lines = zip(self.size, self.kernel, self.stride, self.margins, self.dilation, strict=True)
        return tuple(
            range(0, before + size + after - (kernel - 1) * dilation, stride)
            for size, kernel, stride, (before, after), dilation in lines
        )

    @property
    def output(self) -> tuple[int, ...]:
        """How many places there are, which is the size of the output."""
        return tuple(len(starts) for starts in self.starts)

    @property
    def positions(self) -> Iterator[Place]:
        """The places of the output in reading order."""
        return product(*map(range, self.output))

    def __iter__(self) -> Iterator[tuple[Index, Index]]:
        """For each position two indices: its place in the output, and the taps of its window in the padded input."""
        for position, start in zip(self.positions, product(*self.starts), strict=True):
            taps = (self._taps(axis, first) for axis, first in enumerate(start))
            yield (..., *position), (..., *taps)

    def _taps(self, axis: int, first: int) -> slice:
        return slice(first, first + (self.kernel[axis] - 1) * self.dilation[axis] + 1, self.dilation[axis])

    def start(self, position: Place) -> Place:
        """The first tap of the window at a position, counted in the input itself: negative in the padding."""
        return tuple(
            starts[place] - before
            for starts, place, (before, _) in zip(self.starts, position, self.margins, strict=True)
        )

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Put the lines of padding around the last axes of `x`."""
        unpadded = [(0, 0)] * (x.ndim - len(self.size))
        return np.pad(x, [*unpadded, *self.margins], constant_values=value)

    def unpad(self, padded: Array) -> Array:
        """Take the lines of padding off again."""
        lines = zip(self.size, self.margins, strict=True)
        inner: Index = (..., *(slice(before, before + size) for size, (before, _) in lines))
        return padded[inner]


def slide(size: tuple[int, ...], kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes) -> Windows:
    """Let a window of `kernel` taps slide over an input of `size`; a number alone stands for every axis.

    `padding` is a number of lines on each side, or "valid" (none), "same" (as much as keeps the size at stride 1; where
    that is odd, the extra line comes after the last) or "full" (every place at which window and input overlap).

    Raises:
        NeocogError: a number that is too small, "same" with a stride, or a window that fits nowhere.
    """
    axes = len(size)
    kernel = _each("kernel", kernel, axes, least=1)
    stride = _each("stride", stride, axes, least=1)
    dilation = _each("dilation", dilation, axes, least=1)
    margins = _margins(kernel, stride, padding, dilation)
    windows = Windows(_each("size", size, axes, least=0), kernel, stride, margins, dilation)
    if not all(windows.output):
        reach = tuple((taps - 1) * apart + 1 for taps, apart in zip(kernel, dilation, strict=True))
        raise NeocogError(
            f"a window of {_text(reach)} fits nowhere on {_text(size)} with padding {padding!r}. "
            "Take a smaller kernel or more padding."
        )
    return windows


def _margins(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: Padding, dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    if not isinstance(padding, str):
        return tuple((lines, lines) for lines in _each("padding", padding, len(kernel), least=0))
    # how many lines the window reaches beyond its first tap
    beyond = [(taps - 1) * apart for taps, apart in zip(kernel, dilation, strict=True)]
    match padding:
        case "valid":
            return tuple((0, 0) for _ in beyond)
        case "same" if set(stride) <= {1}:
            return tuple((lines // 2, lines - lines // 2) for lines in beyond)
        case "same":
            raise NeocogError(
                f"padding 'same' needs stride 1, not {_text(stride)}: the output cannot keep the size and shrink. "
                "Give the padding as a number."
            )
        case "full":
            return tuple((lines, lines) for lines in beyond)
    raise NeocogError(f"padding is a number of lines or one of {', '.join(_NAMES)}, not {padding!r}.")


def _each(what: str, given: Sizes, axes: int, *, least: int) -> tuple[int, ...]:
    numbers = tuple(given) if isinstance(given, tuple | list) else (given,) * axes
    whole = all(isinstance(number, int | np.integer) and not isinstance(number, bool) for number in numbers)
    if not whole or len(numbers) != axes or min(numbers) < least:
        raise NeocogError(
            f"{what} is a whole number of at least {least}, or {axes} of them, one an axis; not {given!r}."
        )
    return tuple(int(number) for number in numbers)


def _text(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
