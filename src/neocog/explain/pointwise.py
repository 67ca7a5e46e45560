"""The arithmetic of one value of a layer that looks at single values: norms, activations, what moves values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import nn

from neocog.explain.finding import Finding, Place, as_float64, short, signed
from neocog.explain.forward import Call
from neocog.models.network import ScaledTanh, TrailingSoftmax

_Function = Callable[[nn.Module, float], float]


def batch_norm(call: Call, place: Place) -> Finding:
    """A batch norm with its running statistics, or those of the image itself where it keeps none."""
    layer = call.module
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    values = as_float64(call.inputs[0])
    channel = place[0]
    if layer.running_mean is None or layer.running_var is None:
        mean, variance = float(values[:, channel].mean()), float(values[:, channel].var())
    else:
        mean, variance = float(layer.running_mean[channel]), float(layer.running_var[channel])
    weight = 1.0 if layer.weight is None else float(layer.weight[channel])
    bias = 0.0 if layer.bias is None else float(layer.bias[channel])
    return _normalised(float(values[0][place]), mean, variance, layer.eps, weight, bias)


def group_norm(call: Call, place: Place) -> Finding:
    """A group norm: mean and variance of the image's own group of channels."""
    layer = call.module
    assert isinstance(layer, nn.GroupNorm)
    values = as_float64(call.inputs[0])[0]
    width = len(values) // layer.num_groups
    first = place[0] // width * width
    group = values[first : first + width]
    weight = 1.0 if layer.weight is None else float(layer.weight[place[0]])
    bias = 0.0 if layer.bias is None else float(layer.bias[place[0]])
    return _normalised(float(values[place]), float(group.mean()), float(group.var()), layer.eps, weight, bias)


def layer_norm(call: Call, place: Place) -> Finding:
    """A layer norm: mean and variance over the last axes."""
    layer = call.module
    assert isinstance(layer, nn.LayerNorm)
    values = as_float64(call.inputs[0])[0]
    own = len(place) - len(layer.normalized_shape)
    if own < 0:
        own = 0
    seen = values[place[:own]]
    weight = 1.0 if layer.weight is None else float(layer.weight[place[own:]])
    bias = 0.0 if layer.bias is None else float(layer.bias[place[own:]])
    return _normalised(float(values[place]), float(seen.mean()), float(seen.var()), layer.eps, weight, bias)


def activation(call: Call, place: Place) -> Finding:
    """A function of each value by itself."""
    formula, function = ACTIVATIONS[_kind(call.module)]
    x = float(as_float64(call.inputs[0])[0][place])
    value = function(call.module, x)
    return Finding(value, abs(x) + abs(value), 4, lines=(f"{formula} of x = {short(x)} is {short(value)}",))


def prelu(call: Call, place: Place) -> Finding:
    """PReLU: values below 0 times a trained weight."""
    layer = call.module
    assert isinstance(layer, nn.PReLU)
    weight = float(layer.weight[place[0] if layer.weight.numel() > 1 else 0])
    x = float(as_float64(call.inputs[0])[0][place])
    value = relu(x) + weight * min(x, 0.0)
    line = f"max(0, x) + {short(weight)} * min(0, x) of x = {short(x)} is {short(value)}"
    return Finding(value, abs(x) + abs(value), 4, lines=(line,))


def softmax(call: Call, place: Place) -> Finding | None:
    """exp(x) over the sum of exp of all values along one axis."""
    layer = call.module
    assert isinstance(layer, nn.Softmax | nn.LogSoftmax)
    values = as_float64(call.inputs[0])
    axis = layer.dim % values.ndim if layer.dim is not None else -1
    if axis < 1:
        return None
    row = np.moveaxis(values[0], axis - 1, -1)[tuple(at for number, at in enumerate(place) if number != axis - 1)]
    x, highest = float(row[place[axis - 1]]), float(row.max())
    total = float(np.exp(row - highest).sum())
    share, reach = math.exp(x - highest) / total, 1 + highest - x
    if isinstance(layer, nn.LogSoftmax):
        value = x - highest - math.log(total)
        line = f"x - log(sum of exp) with x = {short(x)} is {short(value)}"
        return Finding(value, abs(value) + abs(highest) + 1, len(row), lines=(line,))
    line = f"exp({short(x)}) / the sum of exp of {len(row)} values = {short(share)}"
    return Finding(share, share * reach * (1 + abs(highest)), len(row), lines=(line,))


def same(call: Call, place: Place) -> Finding:
    """A layer that gives the value on as it is: dropout in evaluation, identity, a softmax left to the loss."""
    x = float(as_float64(call.inputs[0])[0][place])
    why = ""
    if isinstance(call.module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.AlphaDropout):
        why = "; dropout acts in training only"
    elif isinstance(call.module, TrailingSoftmax):
        why = "; the softmax is taken when the probabilities are asked for"
    return Finding(x, 0.0, lines=(f"{short(x)}, as it came in{why}",))


def flatten(call: Call, place: Place) -> Finding | None:
    """The value that flattening put at this place."""
    x = as_float64(call.inputs[0])[0]
    if len(place) != 1:
        return None
    origin = tuple(int(at) for at in np.unravel_index(place[0], x.shape))
    value = float(x[origin])
    where = ", ".join(map(str, origin))
    line = f"{short(value)}, the value at ({where}) of the {'x'.join(map(str, x.shape))} that came in"
    return Finding(value, 0.0, lines=(line,))


def _normalised(x: float, mean: float, variance: float, eps: float, weight: float, bias: float) -> Finding:
    deviation = math.sqrt(variance + eps)
    value = (x - mean) / deviation * weight + bias
    lines = (
        "(x - mean) / sqrt(variance + epsilon) * weight + bias",
        f"= ({short(x)} - {signed(mean)}) / sqrt({short(variance)} + {eps:g}) * {signed(weight)} + {signed(bias)}",
        f"= {short(value)}",
    )
    scale = (abs(x) + abs(mean)) / deviation * abs(weight) + abs(bias)
    return Finding(value, scale, 8, lines=lines)


def relu(x: float) -> float:
    """max(0, x), which NaN passes through as in the network."""
    # Python's max gives its first argument where the two cannot be compared; the sum turns -0 into 0.
    return max(x, 0.0) + 0.0


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _gelu(layer: nn.Module, x: float) -> float:
    assert isinstance(layer, nn.GELU)
    if layer.approximate == "tanh":
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def _leaky(layer: nn.Module, x: float) -> float:
    assert isinstance(layer, nn.LeakyReLU)
    return x if x >= 0 else layer.negative_slope * x


def _elu(layer: nn.Module, x: float) -> float:
    assert isinstance(layer, nn.ELU)
    return x if x > 0 else layer.alpha * math.expm1(x)


def _hardtanh(layer: nn.Module, x: float) -> float:
    assert isinstance(layer, nn.Hardtanh)
    return min(max(x, layer.min_val), layer.max_val)


ACTIVATIONS: dict[type[nn.Module], tuple[str, _Function]] = {
    nn.ReLU: ("max(0, x)", lambda _, x: relu(x)),
    nn.ReLU6: ("min(max(0, x), 6)", _hardtanh),
    nn.LeakyReLU: ("x, or x times the slope below 0,", _leaky),
    nn.ELU: ("x, or alpha * (exp(x) - 1) below 0,", _elu),
    nn.Tanh: ("tanh(x)", lambda _, x: math.tanh(x)),
    ScaledTanh: ("1.7159 * tanh(2/3 * x)", lambda _, x: 1.7159 * math.tanh(2 / 3 * x)),
    nn.Sigmoid: ("1 / (1 + exp(-x))", lambda _, x: _sigmoid(x)),
    nn.SiLU: ("x / (1 + exp(-x))", lambda _, x: x * _sigmoid(x)),
    nn.GELU: ("x * Phi(x)", _gelu),
    nn.Hardtanh: ("x within its two limits", _hardtanh),
    nn.Hardswish: ("x * min(max(0, x + 3), 6) / 6", lambda _, x: x * min(relu(x + 3), 6.0) / 6),
    nn.Hardsigmoid: ("min(max(0, x + 3), 6) / 6", lambda _, x: min(relu(x + 3), 6.0) / 6),
}


def _kind(module: nn.Module) -> type[nn.Module]:
    return next(kind for kind in type(module).__mro__ if kind in ACTIVATIONS)
