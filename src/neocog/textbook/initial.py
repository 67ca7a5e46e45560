"""Initial weights."""

from __future__ import annotations

import numpy as np

from neocog.errors import NeocogError
from neocog.textbook.windows import Array


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw weights evenly from -a to a, with a = sqrt(6 / (fan_in + fan_out)).

    `shape` is (outputs, inputs), or (maps, channels, …) for a convolution. fan_in is how many values each output sees,
    fan_out how many outputs each value reaches, both counted with the taps of the kernel.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    Raises:
        NeocogError: a shape of fewer than two numbers.
    """
    if len(shape) < 2 or min(shape) < 1:
        raise NeocogError(f"weights have the shape (outputs, inputs, …), not {shape}.")
    outputs, inputs, *kernel = shape
    taps = int(np.prod(kernel))
    limit = np.sqrt(6 / (inputs * taps + outputs * taps))
    return rng.uniform(-limit, limit, shape)
