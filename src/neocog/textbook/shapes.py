"""Arrays as float64, and whether their shapes suit an operation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import NeocogError
from neocog.textbook.windows import Array

AXES = {1: "length", 2: "height, width"}


def floats(values: ArrayLike) -> Array:
    """The values as a float64 array; the same array where it is one."""
    return np.asarray(values, dtype=np.float64)


def check_images(x: Array, axes: int) -> None:
    """Refuse what is not (N, C, length) or (N, C, height, width).

    Raises:
        NeocogError: with the shape that came.
    """
    if x.ndim != axes + 2:
        raise NeocogError(f"x has the shape (images, channels, {AXES[axes]}), not {x.shape}.")


def check_kernels(channels: int, weight: Array, bias: Array | None, groups: int, axes: int) -> None:
    """Refuse kernels that do not suit an input of so many channels.

    Raises:
        NeocogError: weight is not (maps, channels / groups, …), bias not (maps,), or the groups do not divide.
    """
    maps = len(weight) if weight.ndim else 0
    whole = isinstance(groups, int | np.integer) and not isinstance(groups, bool)
    if not whole or groups < 1 or channels % groups or maps % groups:
        raise NeocogError(f"{channels} channels and {maps} maps cannot be cut into {groups!r} equal groups.")
    if weight.ndim != axes + 2 or weight.shape[1] != channels // groups:
        needed = f"(maps, {channels // groups}, {AXES[axes]})"
        raise NeocogError(
            f"{channels} channels in {groups} group{'s' * (groups > 1)} need a weight {needed}, not {weight.shape}."
        )
    if bias is not None and bias.shape != (maps,):
        raise NeocogError(f"{maps} maps need a bias of the shape ({maps},), not {bias.shape}.")


def check_gradient(grad: Array, output: tuple[int, ...]) -> None:
    """Refuse a gradient that has not the shape of the output.

    Raises:
        NeocogError: with both shapes.
    """
    if grad.shape != output:
        raise NeocogError(f"the gradient by the output has the output's shape {output}, not {grad.shape}.")
