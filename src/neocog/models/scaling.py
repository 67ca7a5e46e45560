"""From pixels to what a network takes: the module at the front of every trained network and every export."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neocog.errors import ModelError


class Scaling(nn.Module):
    """Pixels to scaled float32: `(x / 255 - mean) / std`, (N, C, H, W) to (N, C, H, W).

    Takes uint8 or floating-point pixels in 0..255. `mean` and `std` are meant for pixels in [0, 1]: one
    number for all channels, or one for each. They are not part of the state dict; the metadata beside the
    weights hold them. Differentiable for floating-point pixels. Raises `ModelError` for a std that is not
    positive, for values that are not finite, and for images whose number of dimensions or channels is
    another.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        means, stds = [float(value) for value in mean], [float(value) for value in std]
        self.channels: int | None = _channels(means, stds)
        if not all(map(math.isfinite, means + stds)) or min(stds) <= 0:
            raise ModelError(
                f"scaling expects finite means and standard deviations above 0; got {means} and {stds}. "
                "Use mean 0 and std 1 for pixels in [0, 1]."
            )
        self._shifts, self._stretches = any(means), any(value != 1 for value in stds)
        self.register_buffer("mean", torch.tensor(means, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(stds, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scale `images`, uint8 or float (N, C, H, W) in 0..255, to float32."""
        self._check(images)
        # A fresh tensor may be divided in place, which saves a pass over memory; the caller's own may not.
        pixels = images.to(torch.float32)
        scaled = pixels / 255 if pixels is images or pixels.requires_grad else pixels.div_(255)
        if self._shifts:
            scaled = scaled.sub_(self.mean)
        if self._stretches:
            scaled = scaled.div_(self.std)
        return scaled

    def extra_repr(self) -> str:
        """Show mean and std when the module is printed."""
        return f"mean={_plain(self.mean)}, std={_plain(self.std)}"

    def _check(self, images: Tensor) -> None:
        shape = tuple(images.shape)
        if len(shape) != 4:
            raise ModelError(
                f"expected a batch of images (N, C, H, W); got the shape {shape}. "
                "Put one image into a batch of its own with image[None]."
            )
        if self.channels is not None and shape[1] != self.channels:
            raise ModelError(
                f"expected {self.channels} channels, one for each mean and std; got images of shape {shape}. "
                "Convert the images, or give a single mean and std."
            )


class ScaledNetwork(nn.Module):
    """A network that takes pixels: `network(scaling(images))`.

    `.network` is the network itself, and its state dict has the plain names.
    """

    def __init__(self, scaling: Scaling, network: nn.Module) -> None:
        super().__init__()
        self.scaling = scaling
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits, float (N, num_classes), of `images`, uint8 or float (N, C, H, W) in 0..255."""
        logits: Tensor = self.network(self.scaling(images))
        return logits


def _channels(means: list[float], stds: list[float]) -> int | None:
    """Give the number of channels that the values are meant for; None where they serve any number."""
    lengths = {len(means), len(stds)}
    if 0 in lengths or len(lengths - {1}) > 1:
        raise ModelError(
            f"scaling expects one mean and std for all channels, or one for each channel; "
            f"got {len(means)} means and {len(stds)} standard deviations."
        )
    longest = max(lengths)
    return longest if longest > 1 else None


def _plain(values: Tensor) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values.flatten().tolist()) + ")"
