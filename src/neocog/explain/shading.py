"""Pictures made of characters, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

_POSITIVE = " ░▒▓█"
_NEGATIVE = " -="
# A character is about twice as tall as it is wide.
_ASPECT = 2


def shaded(values: NDArray[np.floating], *, columns: int = 40, tall: bool = False) -> list[str]:
    """Draw numbers (H, W) from -1 to 1 as lines of characters: dark for 1, blank for 0, `-` and `=` below 0.

    With `tall`, two rows become one line, so that squares stay squares, and more than `columns` columns are made
    fewer; otherwise each number is two characters on a line of its own.
    """
    if not tall:
        return ["".join(_character(value) * 2 for value in row) for row in values]
    height, width = values.shape
    across = min(width, columns)
    down = max(1, round(height * across / width / _ASPECT))
    return ["".join(map(_character, row)) for row in _averaged(values, down, across)]


def beside(blocks: Sequence[Sequence[str]], gap: int = 3) -> list[str]:
    """Put blocks of lines beside each other."""
    widths = [max(map(len, block), default=0) for block in blocks]
    return [
        (" " * gap).join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*blocks, fillvalue="")
    ]


def _character(value: float) -> str:
    if value < 0:
        return _NEGATIVE[min(int(-value * len(_NEGATIVE)), len(_NEGATIVE) - 1)]
    return _POSITIVE[min(int(value * len(_POSITIVE)), len(_POSITIVE) - 1)] if value == value else "?"


def _averaged(values: NDArray[np.floating], down: int, across: int) -> NDArray[np.floating]:
    """Give the means of the values that fall on each of `down` times `across` places."""
    rows = np.linspace(0, len(values), down + 1)
    columns = np.linspace(0, values.shape[1], across + 1)
    return np.array(
        [[values[_part(rows, row), _part(columns, column)].mean() for column in range(across)] for row in range(down)]
    )


def _part(ends: NDArray[np.floating], number: int) -> slice:
    first = int(ends[number])
    return slice(first, max(first + 1, int(ends[number + 1])))
