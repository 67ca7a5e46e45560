"""Networks of whole numbers, whose results are exact however they are computed."""

from __future__ import annotations

from tests.kernels.exact import whole, whole_images
from torch import Tensor, nn

from neocog.kernels.context import using
from neocog.models import build

TEXT = (
    "conv 4 3x3 same | relu | maxpool 2 | conv 5 5x5 pad 2 nobias | maxpool 2 pad 1 | relu "
    "| residual(conv 5 3x3 same | relu) "
    "| conv 6 3x3 pad 2 | maxpool 2 | batchnorm | relu | conv 3 1x1 | relu | flatten | linear 3"
)
BLOCKS = ["conv pool relu", "conv pool relu", "conv relu", "conv pool", "norm relu"]
IMAGES = whole_images(3, 2, 13, 12)


def network() -> nn.Module:
    return whole(build(TEXT, (2, 13, 12), 3, seed=0))


def simple() -> nn.Module:
    """A convolution, relu and pooling, which are one block."""
    return whole(build("conv 4 3x3 same | relu | maxpool 2", (2, 13, 12)))


def stock(module: nn.Module, images: Tensor = IMAGES) -> Tensor:
    with using("off"):
        output: Tensor = module(images)
    return output
