"""One step of an operation that moves a window over its input, with every number of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

StepKind: TypeAlias = Literal["sum", "mean", "largest"]


@dataclass(frozen=True, eq=False)
class Step:
    """How one output value comes about: `value` is the sum of `products`, plus `bias`; of a pool their maximum or mean.

    Arrays are float64 with the channels first: (C, height, width), or (C, length) in one dimension.

    Attributes:
        position: the place of the value in the output, (row, column) or (place,).
        start: the place of the window's first tap in the input; negative where it lies in the padding.
        window: what the window sees, padding included (zeros; minus infinity for a max pool).
        kernel: the weights at the same places; None for an operation that has none.
        products: window times kernel, place by place; the window itself for an operation without a kernel.
        bias: what is added to the sum.
        value: what the operation gives at `position`.
        channel: the channel of the output that the value belongs to.
        dilation: distance between neighbouring taps of the window in the input, an axis each.
        kind: what is done with the products; for "mean" their sum is divided by `divisor`.
        divisor: how many values a mean is taken over; 1 for the other kinds.
    """

    position: tuple[int, ...]
    start: tuple[int, ...]
    window: NDArray[np.float64]
    kernel: NDArray[np.float64] | None
    products: NDArray[np.float64]
    bias: float
    value: float
    channel: int = 0
    dilation: tuple[int, ...] = (1, 1)
    kind: StepKind = "sum"
    divisor: int = 1
