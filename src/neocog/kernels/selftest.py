"""A quick check of a level on this machine: a few blocks against the same arithmetic in float64."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.kernels.block import fused_conv
from neocog.kernels.level import Level

_RESULTS = ("output", "gradient of the input", "gradient of the weights", "gradient of the bias")
_FLOAT32_ERROR, _BFLOAT16_ERROR = 1e-5, 1e-2


class Check(NamedTuple):
    """The largest error of one result, as a fraction of the largest exact value, and the error that is allowed."""

    name: str
    error: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the error is allowed; not where it is not a number."""
        return self.error <= self.allowed


class _Shape(NamedTuple):
    name: str
    images: int
    channels: tuple[int, int]
    side: int
    kernel: int
    padding: int
    pool: bool
    pool_padding: int


_SHAPES = (
    _Shape("first layer, 3x3, relu, pool", 16, (1, 32), 28, 3, 1, pool=True, pool_padding=0),
    _Shape("3x3, relu, pool", 8, (32, 64), 14, 3, 1, pool=True, pool_padding=0),
    _Shape("5x5, odd sizes, relu, padded pool", 3, (7, 17), 13, 5, 2, pool=True, pool_padding=1),
    _Shape("3x3 without padding, relu", 3, (16, 24), 11, 3, 0, pool=False, pool_padding=0),
)


def selftest(level: Level, *, threads: int = 1) -> list[Check]:
    """Compute a few blocks at a level, forward and backward, and compare with float64; takes less than a second."""
    checks = []
    for seed, shape in enumerate(_SHAPES):
        inputs = _inputs(shape, seed, level)
        exact = _results(shape, [tensor.double() for tensor in inputs], None, threads)
        found = _results(shape, inputs, level, threads)
        for name, a, b in zip(_RESULTS, found, exact, strict=True):
            error = float((a.double() - b).abs().max() / b.abs().max())
            allowed = _BFLOAT16_ERROR if level == "amx" else _FLOAT32_ERROR
            checks.append(Check(f"{shape.name}: {name}", error, allowed))
    return checks


def _inputs(shape: _Shape, seed: int, level: Level) -> list[Tensor]:
    """Give x, weight, bias and dy.

    `dy` is 0 where rounding could change which value is taken; what a level rounds its inputs to is rounded here.
    """
    generator = torch.Generator().manual_seed(seed)
    (channels, filters), kernel = shape.channels, shape.kernel
    x = torch.randn(shape.images, channels, shape.side, shape.side, generator=generator)
    weight = torch.randn(filters, channels, kernel, kernel, generator=generator)
    bias = torch.randn(filters, generator=generator)
    if level == "amx":
        x, weight = x.bfloat16().float(), weight.bfloat16().float()
    values = F.conv2d(x.double(), weight.double(), bias.double(), padding=shape.padding)
    least = float(values.std()) * (_BFLOAT16_ERROR if level == "amx" else 1e-4)
    dy = torch.randn(_stock(shape, x, weight, bias).shape, generator=generator)
    if level == "amx":
        dy = dy.bfloat16().float()
    return [x, weight, bias, dy * _clear(shape, values, least)]


def _clear(shape: _Shape, values: Tensor, least: float) -> Tensor:
    """Tell where the value that is taken is far from the others, and from relu's 0."""
    cells = values.unsqueeze(-1)
    if shape.pool:
        padded = F.pad(values, (shape.pool_padding,) * 4, value=-torch.inf)
        cells = padded.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    ordered = cells.sort(-1, descending=True).values
    clear = ordered[..., 0].abs() > least
    return clear & (ordered[..., 0] - ordered[..., 1] > least) if shape.pool else clear


def _stock(shape: _Shape, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y = F.relu(F.conv2d(x, weight, bias, padding=shape.padding))
    return F.max_pool2d(y, 2, padding=shape.pool_padding) if shape.pool else y


def _results(shape: _Shape, inputs: list[Tensor], level: Level | None, threads: int) -> list[Tensor]:
    """Give the output and the gradients of x, weight and bias: at a level, or of PyTorch's operators."""
    x, weight, bias = (tensor.clone().requires_grad_() for tensor in inputs[:3])
    if level is None:
        y = _stock(shape, x, weight, bias)
    else:
        y = fused_conv(
            x,
            weight,
            bias,
            padding=shape.padding,
            pool=shape.pool,
            pool_padding=shape.pool_padding,
            relu=True,
            level=level,
            threads=threads,
        )
    return [y.detach(), *torch.autograd.grad(y, (x, weight, bias), inputs[3].to(y.dtype))]
