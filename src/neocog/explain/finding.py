"""What the arithmetic of one output value finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.textbook.step import Step

Numbers = NDArray[np.float64]
Place = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Finding:
    """One output value of one call, worked out again in float64.

    Attributes:
        value: the value.
        scale: the sum of the sizes of all that was added up, which rounding errors are proportional to.
        terms: how many numbers were added up.
        step: the window with all its numbers, where the layer has one.
        size: height and width (or length) of the input that the window moves over.
        lines: the arithmetic in words and numbers, as far as the step does not show it.
        checked: False where nothing was worked out and `value` is only what the call gave.
    """

    value: float
    scale: float
    terms: int = 1
    step: Step | None = None
    size: Place = ()
    lines: tuple[str, ...] = ()
    checked: bool = True


def as_float64(tensor: Tensor) -> Numbers:
    """Give a tensor's numbers in float64, on the CPU."""
    numbers: Numbers = tensor.detach().double().cpu().numpy()
    return numbers


def short(value: float) -> str:
    """Write a number with six significant digits."""
    return f"{value:.6g}"


def signed(value: float) -> str:
    """Write a number behind a sign of arithmetic: in brackets where it is negative."""
    return f"({short(value)})" if value < 0 else short(value)
