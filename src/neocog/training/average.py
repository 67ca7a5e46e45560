"""An exponential moving average of a network's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn


class MovingAverage:
    """Averages every floating-point tensor of a state dict; counters are copied.

    After step t (from 1) each average is `decay * average + (1 - decay) * weight`, with the decay lowered to
    (1 + t) / (10 + t) at the start, where it would remember the initial weights for too long.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the weights after a step into the average."""
        self.steps += 1
        weight = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in network.state_dict().items():
            average = self.tensors[name]
            if average.is_floating_point():
                average.lerp_(tensor, weight)
            else:
                average.copy_(tensor)


@contextlib.contextmanager
def weights_replaced(network: nn.Module, tensors: Mapping[str, torch.Tensor] | None) -> Iterator[None]:
    """Let `network` have other weights for a while; `None` changes nothing."""
    if tensors is None:
        yield
        return
    own = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    copy_weights(network, tensors)
    try:
        yield
    finally:
        copy_weights(network, own)


@torch.no_grad()
def copy_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy tensors of the same names into a network, in place."""
    for name, target in network.state_dict().items():
        target.copy_(tensors[name])
