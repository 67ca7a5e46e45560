"""Networks and images of small whole numbers: float32 computes with them exactly, in whatever order it adds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from neocog.kernels.level import level_for

needs_blocks = pytest.mark.skipif(level_for(bfloat16=False) is None, reason="no float32 blocks can run here")


def whole(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module, with whole weights from -2 to 2."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
    return module


def whole_images(*shape: int, seed: int = 0) -> Tensor:
    """Images of whole numbers from -3 to 3."""
    return torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(seed)).float()


def one_by_one(layers: nn.Module) -> Callable[[Tensor], Tensor]:
    """The children of a module applied in the order they have, by nothing but themselves."""

    def apply(x: Tensor) -> Tensor:
        for layer in layers.children():
            x = layer(x)
        return x

    return apply


def results(function: Callable[[Tensor], Tensor], parameters: list[nn.Parameter], images: Tensor) -> list[Tensor]:
    """The output, and the gradients of a weighted sum of it with respect to images and parameters."""
    images = images.detach().requires_grad_()
    output = function(images)
    weights = torch.randint(-2, 3, output.shape, generator=torch.Generator().manual_seed(1)).to(output.dtype)
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), [images, *parameters])]


def check_same(found: list[Tensor], expected: list[Tensor]) -> None:
    """Raise unless the numbers are equal."""
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
