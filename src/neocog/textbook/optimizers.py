"""One step of an optimiser for one array of weights: new arrays come out, nothing is changed in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from neocog.textbook.shapes import check_gradient, floats
from neocog.textbook.windows import Array


def sgd_step(
    weight: ArrayLike, gradient: ArrayLike, lr: float, *, momentum: float = 0.0, velocity: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Stochastic gradient descent: velocity = momentum * velocity + gradient; weight = weight - lr * velocity.

    Returns:
        The new weight and the velocity, which the next step takes; None stands for 0 in the first. Without momentum the
        velocity is the gradient.
    """
    weight, gradient = _checked(weight, gradient)
    speed = gradient if velocity is None else momentum * floats(velocity) + gradient
    return weight - lr * speed, speed


@dataclass(frozen=True, eq=False)
class Moments:
    """What Adam remembers of an array of weights.

    Attributes:
        mean: the running mean of the gradients.
        square: the running mean of their squares.
        steps: how many gradients went into them.
    """

    mean: Array
    square: Array
    steps: int = 0


def adam_step(
    weight: ArrayLike,
    gradient: ArrayLike,
    moments: Moments | None = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> tuple[Array, Moments]:
    """Adam: weight - lr * mean / (sqrt(square) + epsilon), where the running means are freed of their start at 0.

    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.

    Returns:
        The new weight and the moments, which the next step takes; None stands for none in the first.
    """
    weight, gradient = _checked(weight, gradient)
    before = Moments(np.zeros_like(weight), np.zeros_like(weight)) if moments is None else moments
    steps = before.steps + 1
    mean = betas[0] * before.mean + (1 - betas[0]) * gradient
    square = betas[1] * before.square + (1 - betas[1]) * gradient**2
    fair_mean, fair_square = mean / (1 - betas[0] ** steps), square / (1 - betas[1] ** steps)
    return weight - lr * fair_mean / (np.sqrt(fair_square) + epsilon), Moments(mean, square, steps)


def _checked(weight: ArrayLike, gradient: ArrayLike) -> tuple[Array, Array]:
    weight, gradient = floats(weight), floats(gradient)
    check_gradient(gradient, weight.shape)
    return weight, gradient
