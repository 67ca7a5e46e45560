"""Activations: a function of each value, and softmax, one of a whole row."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neocog.textbook.shapes import floats
from neocog.textbook.windows import Array

# LeCun, Bottou, Bengio, Haffner (1998), appendix A: 1 becomes 1, and -1 becomes -1.
_HEIGHT, _STEEPNESS = 1.7159, 2 / 3


def relu(x: ArrayLike) -> Array:
    """max(x, 0)."""
    return np.maximum(floats(x), 0.0)


def relu_backward(grad: ArrayLike, x: ArrayLike) -> Array:
    """The gradient passes where x is above 0. At 0 itself, where there is no derivative, it is taken as 0."""
    return floats(grad) * (floats(x) > 0)


def tanh(x: ArrayLike) -> Array:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)), from -1 to 1."""
    return np.tanh(floats(x))


def tanh_backward(grad: ArrayLike, x: ArrayLike) -> Array:
    """The derivative is 1 - tanh(x)^2."""
    return floats(grad) * (1 - tanh(x) ** 2)


def scaled_tanh(x: ArrayLike) -> Array:
    """1.7159 tanh(2x/3), the activation of the original LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998)."""
    return _HEIGHT * tanh(_STEEPNESS * floats(x))


def scaled_tanh_backward(grad: ArrayLike, x: ArrayLike) -> Array:
    """The derivative is 1.7159 * 2/3 * (1 - tanh(2x/3)^2)."""
    return _HEIGHT * _STEEPNESS * tanh_backward(grad, _STEEPNESS * floats(x))


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x)), from 0 to 1."""
    x = floats(x)
    # below 0 the same fraction times exp(x) / exp(x), without exp(1000)
    power = np.exp(-np.abs(x))
    probability: Array = np.where(x < 0, power, 1.0) / (1 + power)
    return probability


def sigmoid_backward(grad: ArrayLike, x: ArrayLike) -> Array:
    """The derivative is sigmoid(x) * (1 - sigmoid(x)), and 1 - sigmoid(x) is sigmoid(-x)."""
    return floats(grad) * sigmoid(x) * sigmoid(-floats(x))


def softmax(logits: ArrayLike) -> Array:
    """exp(logit) / the sum of all exp(logit), along the last axis: probabilities that add up to 1."""
    logits = floats(logits)
    # a constant taken off every logit cancels out, and keeps exp from overflowing
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def softmax_backward(grad: ArrayLike, logits: ArrayLike) -> Array:
    """Each logit moves all probabilities of its row: p * (grad - the sum of p * grad)."""
    grad, p = floats(grad), softmax(logits)
    by_logits: Array = p * (grad - (p * grad).sum(axis=-1, keepdims=True))
    return by_logits
