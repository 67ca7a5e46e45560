"""The arithmetic of one value of a module that is made of others: a sum of two ways, or what its last part gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neocog.explain.finding import Finding, Place, short
from neocog.explain.forward import Call
from neocog.explain.pointwise import relu
from neocog.models.efficientnet import InvertedBottleneck
from neocog.models.network import ResidualChain
from neocog.models.resnet import BasicBlock, Bottleneck


def block(call: Call, place: Place) -> Finding:
    """A module with parts: worked out where it is known how they are joined, else only what they gave."""
    ways = _ways(call)
    if ways is not None:
        return _sum(call, place, *ways)
    last = call.children[-1]
    if last.output is None or call.output is None or not torch.equal(last.output, call.output):
        return unknown(call, place)
    value = float(last.output[0][place])
    return Finding(value, 0.0, lines=(f"{short(value)}, what its last part, {last.name}, gives",))


def unknown(call: Call, place: Place) -> Finding:
    """A module whose arithmetic is not written out here: the value, and what went in at the same place."""
    assert call.output is not None
    kind = type(call.module).__name__
    lines = [f"the arithmetic of {kind} is not written out here; what the layers within and before it gave:"]
    near = [(part.name, part.output) for part in call.children]
    near += [(f"input {number}", given) for number, given in enumerate(call.inputs)]
    lines += [f"  {name}: {short(value)}" for name, given in near if (value := _at(given, call, place)) is not None]
    if len(lines) == 1:
        lines = [f"the arithmetic of {kind} is not written out here"]
    return Finding(float(call.output[0][place]), 0.0, lines=tuple(lines), checked=False)


def _at(tensor: Tensor | None, call: Call, place: Place) -> float | None:
    if tensor is None or call.output is None or tensor.shape != call.output.shape:
        return None
    return float(tensor[0][place])


def _ways(call: Call) -> tuple[Call, Call | None, bool] | None:
    """Give the two calls whose sum the module gives (None: its input), and whether a relu follows."""
    layer = call.module
    if isinstance(layer, ResidualChain):
        return _body(call, layer.shortcut), _call_of(call, layer.shortcut), False
    if isinstance(layer, BasicBlock | Bottleneck):
        last = layer.bn3 if isinstance(layer, Bottleneck) else layer.bn2
        body = _call_of(call, last)
        return None if body is None else (body, _call_of(call, layer.downsample), True)
    if isinstance(layer, InvertedBottleneck) and layer.adds_input:
        body = _call_of(call, layer.bn2)
        return None if body is None else (body, None, False)
    return None


def _body(call: Call, shortcut: nn.Module | None) -> Call:
    return [part for part in call.children if part.module is not shortcut][-1]


def _call_of(call: Call, module: nn.Module | None) -> Call | None:
    return next((part for part in call.children if module is not None and part.module is module), None)


def _sum(call: Call, place: Place, body: Call, shortcut: Call | None, rectified: bool) -> Finding:
    beside = call.inputs[0] if shortcut is None else shortcut.output
    assert body.output is not None and beside is not None
    one, other = float(body.output[0][place]), float(beside[0][place])
    name = "its own input" if shortcut is None else shortcut.name
    lines = [f"{body.name} gives {short(one)}, {name} {short(other)}: sum {short(one + other)}"]
    value = one + other
    if rectified:
        value = relu(value)
        lines.append(f"max(0, {short(one + other)}) = {short(value)}")
    return Finding(value, abs(one) + abs(other), 2, lines=tuple(lines))
