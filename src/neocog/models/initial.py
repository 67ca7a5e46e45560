"""Initial weights by published rules, for one module at a time: `network.apply(glorot)`."""

from __future__ import annotations

import torch
from torch import nn

from neocog.models.lenet import Subsample, TableConv2d

_LECUN = 2.4


def glorot(module: nn.Module) -> None:
    """Glorot uniform weights and zero biases for convolutions and linear layers; nothing for any other module.

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010:
    within plus and minus sqrt(6 / (fan-in + fan-out)). With a connection table both fans count the connections.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, TableConv2d):
        _glorot_table(module)


def lecun_1998(module: nn.Module) -> None:
    """Weights and biases within plus and minus 2.4 / fan-in, uniformly; nothing for modules without either.

    The fan-in is the number of inputs of a unit, its bias not counted: with a connection table those of the maps that
    it sees; of a subsampling the values of its window. There the rule is for the coefficient of their sum; here it
    multiplies their mean, so its bound is 2.4. Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning
    Applied to Document Recognition", 1998, appendix A.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        bound = _LECUN / module.weight[0].numel()
        nn.init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -bound, bound)
    elif isinstance(module, TableConv2d):
        module.uniform_(lambda fan_in: _LECUN / fan_in)
    elif isinstance(module, Subsample):
        bound = _LECUN / (module.kernel[0] * module.kernel[1])
        nn.init.uniform_(module.weight, -_LECUN, _LECUN)
        nn.init.uniform_(module.bias, -bound, bound)


def _glorot_table(module: TableConv2d) -> None:
    taps = module.kernel[0] * module.kernel[1]
    feeds = [sum(number in entry for entry in module.table) for number in range(module.in_channels)]
    connections = [(len(entry), feeds[number]) for entry in module.table for number in entry]
    with torch.no_grad():
        for kernel, (fan_in, fan_out) in zip(module.weight, connections, strict=True):
            bound = (6 / ((fan_in + fan_out) * taps)) ** 0.5
            kernel.uniform_(-bound, bound)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
