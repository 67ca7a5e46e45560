"""Networks for the tests of what explains them: with quick random weights, and small ones of every kind of layer."""

from __future__ import annotations

import torch
from torch import nn

import neocog as nc
from neocog.models import catalogue

# 65,537 is prime: repeated, the numbers meet other places of every kernel.
_NUMBERS = 65_537


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give weights and statistics that are random enough, in a fraction of the time that initial weights take."""
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randn(_NUMBERS, generator=draw)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not tensor.is_floating_point() or name.endswith("targets"):
                continue
            count = tensor.numel()
            fan_in = max(1, count // max(1, tensor.shape[0])) if tensor.ndim > 1 else 1
            values, flat = numbers * (2 / fan_in) ** 0.5, tensor.view(-1)
            whole = count // _NUMBERS * _NUMBERS
            flat[:whole].view(-1, _NUMBERS).copy_(values)
            flat[whole:].copy_(values[: count - whole])
            if name.endswith("running_var"):
                tensor.abs_().add_(0.1)
    return network


def named_network(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Give a named network with random weights and an image of the smallest size that shows its structure."""
    entry = catalogue.find(name)
    side = max(entry.minimum_size, 32 if entry.notation is None else 12)
    shape = (entry.input_shape[0], side, side)
    with torch.device("meta") if entry.notation is None else torch.device("cpu"):
        network = nc.build(name, shape, 10)
    if entry.notation is None:
        network = network.to_empty(device="cpu")
    image = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return randomise(network), image


class Borrowed(nn.Module):
    """A network for 1x8x8 images whose first part is run without gradients, as one that is only borrowed."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(2 * 64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.first(x).flatten(1)
        out: torch.Tensor = self.last(x)
        return out
