"""Test-time flips: the answer for an image is the mean of those for it and for its mirror image."""

from __future__ import annotations

import math

import torch
from torch import nn


class WithFlips(nn.Module):
    """A network whose answer is the mean of the probabilities of an image and of its mirror image, left to right.

    Takes images (B, C, H, W) as `network` does and gives logits (B, K), float64: `temperature` times the logarithm of
    that mean, so that the softmax of logits / `temperature` is the mean itself.
    """

    def __init__(self, network: nn.Module, temperature: float = 1.0) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Answer for each image and its mirror image."""
        both = [self.network(images), self.network(images.flip(-1))]
        logs = [torch.log_softmax(logits.float().cpu().double() / self.temperature, dim=1) for logits in both]
        return (torch.logaddexp(*logs) - math.log(2)) * self.temperature
