"""Which consecutive layers run as one fused block, and everything that makes them run one by one instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.kernels.block import fused_conv, padding_of, supported
from neocog.kernels.context import Kernels as Kernels
from neocog.kernels.context import current_level, hooks_on_all_modules
from neocog.kernels.context import using as using
from neocog.kernels.level import Level
from neocog.kernels.library import library
from neocog.kernels.norm import fused_norm

Usable: TypeAlias = Callable[[nn.Module], bool]

# Not their subclasses, which may do something else: a fake, a wrapped or a traced tensor.
_PLAIN_TENSORS = (Tensor, nn.Parameter)

# What these give does not depend on how the maps lie in memory. (What dropout draws does.)
_ANY_LAYOUT = frozenset({nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm2d, nn.Flatten})

# The paddings that blocks can do, by the settings of the layer: they may change, so each pass asks again.
_paddings: dict[tuple[object, ...], int | None] = {}


class ConvBlock(NamedTuple):
    """A convolution, and relu and 2x2 max pooling after it, in either order; `layers` counts them all."""

    weight: Tensor
    bias: Tensor | None
    padding: int
    pool: bool
    pool_padding: int
    relu: bool
    layers: int

    def takes(self, x: Tensor, level: Level) -> bool:
        """Whether the block computes on `x` what its layers would."""
        if not _is_plain_image(x) or not (x.dtype is torch.float32 or (level == "amx" and x.dtype is torch.bfloat16)):
            return False
        if not _is_plain_float32(self.weight) or (self.bias is not None and not _is_plain_float32(self.bias)):
            return False
        (out_channels, in_channels, kernel, _), (_, channels, height, width) = self.weight.shape, x.shape
        least = max(1, kernel - 2 * self.padding + (self.pool and not self.pool_padding))
        return in_channels == channels and out_channels > 0 and height >= least and width >= least

    def keeps_layout(self, x: Tensor) -> bool:
        """Whether PyTorch's layers would give what the block gives, maps that lie in memory as (N, H, W, C)."""
        return _channels_last(x) or _channels_last(self.weight)

    def compute(self, x: Tensor, level: Level) -> Tensor:
        """Give what the layers give."""
        return fused_conv(
            x,
            self.weight,
            self.bias,
            padding=self.padding,
            pool=self.pool,
            pool_padding=self.pool_padding,
            relu=self.relu,
            level=level,
            threads=torch.get_num_threads(),
        )


class NormBlock(NamedTuple):
    """A batch norm, and relu after it; `layers` counts them."""

    norm: nn.BatchNorm2d
    relu: bool
    layers: int

    def takes(self, x: Tensor, level: Level) -> bool:
        """Whether the block computes on `x` what its layers would: in training, on maps that lie as (N, H, W, C)."""
        norm = self.norm
        if not norm.training or level not in library().norm_forward or not _is_plain_image(x):
            return False
        if x.dtype is not torch.float32 or not _channels_last(x) or x.shape[1] != norm.num_features:
            return False
        if x.numel() <= norm.num_features or norm.weight is None or norm.bias is None:
            return False
        statistics = (
            () if norm.running_mean is None or norm.running_var is None else (norm.running_mean, norm.running_var)
        )
        return all(map(_is_plain_float32, (norm.weight, norm.bias, *statistics)))

    def keeps_layout(self, x: Tensor) -> bool:
        """Whether PyTorch's layers would give what the block gives, maps that lie in memory as (N, H, W, C)."""
        return True

    def compute(self, x: Tensor, level: Level) -> Tensor:
        """Give what the layers give, and move the running statistics."""
        return fused_norm(x, self.norm, relu=self.relu, level=level, threads=torch.get_num_threads())


Block: TypeAlias = ConvBlock | NormBlock


def pays(block: Block, level: Level | None = None, shape: torch.Size | None = None) -> bool:
    """Whether a block is faster than PyTorch's layers for images of `shape` (N, C, H, W); left out: for any at all.

    Measured by benchmarks/blocks.py: a block with pooling or relu is, by the passes over memory that it saves; a
    convolution alone about equals PyTorch's, a little faster for 32 or 64 channels and slower for fewer or more.
    """
    if isinstance(block, NormBlock) or block.pool or block.relu:
        return True
    return 24 <= block.weight.shape[1] <= 64


class InTurn(nn.Module):
    """A module that applies its children one after the other, by the plan while `fused` is set."""

    fused = True

    def forward(self, x: Tensor) -> Tensor:
        """Give what the last child gives."""
        return self.in_turn(x)

    def in_turn(self, x: Tensor) -> Tensor:
        """Apply `sequence()`."""
        return run([layer for _, layer in self.sequence()], x, fused=self.fused)

    def sequence(self) -> list[tuple[str, nn.Module]]:
        """Give the children that follow one another, with their names."""
        # named_children() takes longer than all else that is asked before the first layer.
        return [(name, layer) for name, layer in self._modules.items() if layer is not None]


def run(layers: Sequence[nn.Module], x: Tensor, *, fused: bool = True) -> Tensor:
    """Give what the last of `layers` gives, each applied to the one before.

    Values, gradients and the layout in memory are those of the layers applied one by one, up to rounding.
    """
    level = current_level() if fused else None
    # Whether the layers one by one would have given maps that lie in memory as (N, C, H, W), where a block's do not.
    reordered = False
    place = 0
    while place < len(layers):
        block = None if level is None else match(layers, place, plain)
        if block is not None and level is not None and block.takes(x, level) and pays(block, level, x.shape):
            reordered = reordered or not block.keeps_layout(x)
            x = block.compute(x, level)
            place += block.layers
            continue
        if reordered and not _takes_any_layout(layers[place]):
            x, reordered = _in_order(x), False
        x, count = _step(layers, place, x)
        place += count
    return _in_order(x) if reordered else x


def _step(layers: Sequence[nn.Module], place: int, x: Tensor) -> tuple[Tensor, int]:
    """Apply the layer at `place`, and the one after it where the two may change places; say how many it were."""
    layer = layers[place]
    following = layers[place + 1] if place + 1 < len(layers) else None
    if type(layer) is nn.ReLU and type(following) is nn.MaxPool2d and _may_swap(layer, following):
        return F.relu(following(x), inplace=True), 2
    return layer(x), 1


def _may_swap(relu: nn.ReLU, pool: nn.MaxPool2d) -> bool:
    # A relu after the pooling gives the same values and gradients, and there are a quarter as many of them.
    return plain(relu) and plain(pool) and not pool.return_indices and not hooks_on_all_modules()


def match(layers: Sequence[nn.Module], place: int, usable: Usable) -> Block | None:
    """Find the block that begins with the layer at `place`, of layers that are `usable`."""
    layer = layers[place]
    if type(layer) is nn.Conv2d and usable(layer):
        return _match_conv(layer, layers[place + 1 : place + 3], usable)
    if type(layer) is nn.BatchNorm2d and usable(layer):
        following = layers[place + 1] if place + 1 < len(layers) else None
        relu = type(following) is nn.ReLU and usable(following)
        return NormBlock(layer, relu, 1 + relu)
    return None


def plain(layer: nn.Module) -> bool:
    """Whether calling a layer does what its class does: nobody watches it, and it has no forward of its own."""
    return not (
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or layer._compiled_call_impl is not None
        or "forward" in layer.__dict__
    )


def _match_conv(conv: nn.Conv2d, following: Sequence[nn.Module], usable: Usable) -> ConvBlock | None:
    padding = _conv_padding(conv)
    if padding is None:
        return None
    relu, pool_padding, count = False, None, 1
    for layer in following:
        if type(layer) is nn.ReLU and not relu and usable(layer):
            relu = True
        elif type(layer) is nn.MaxPool2d and pool_padding is None and usable(layer):
            pool_padding = _pool_padding(layer, conv)
            if pool_padding is None:
                break
        else:
            break
        count += 1
    return ConvBlock(conv.weight, conv.bias, padding, pool_padding is not None, pool_padding or 0, relu, count)


def _conv_padding(conv: nn.Conv2d) -> int | None:
    """Give the padding of a convolution that a block can do, None for any other."""
    settings = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    try:
        return _paddings[settings]
    except KeyError:
        _paddings[settings] = None if supported(conv) else padding_of(conv)
        return _paddings[settings]
    except TypeError:  # a list stands among the settings
        return None


def _pool_padding(pool: nn.MaxPool2d, conv: nn.Conv2d) -> int | None:
    """Give the padding of a pooling that a block can do behind a convolution that it can do, None for any other."""
    settings = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices)
    try:
        return _paddings[settings]
    except KeyError:
        padding = pool.padding if isinstance(pool.padding, int) else pool.padding[0]
        _paddings[settings] = None if supported(conv, pool) else padding
        return _paddings[settings]
    except TypeError:  # a list stands among the settings
        return None


def _is_plain_image(x: Tensor) -> bool:
    if type(x) not in _PLAIN_TENSORS or not x.is_cpu or x.layout is not torch.strided:
        return False
    return x.dim() == 4 and not x.is_neg()


def _is_plain_float32(tensor: Tensor) -> bool:
    return type(tensor) in _PLAIN_TENSORS and tensor.is_cpu and tensor.dtype is torch.float32


def _channels_last(tensor: Tensor) -> bool:
    """Whether PyTorch takes a tensor (N, C, H, W) for one that lies in memory as (N, H, W, C)."""
    (_, channels, height, width), (_, step, _, column) = tensor.shape, tensor.stride()
    return step == 1 and column >= channels and height * width > 1


def _takes_any_layout(layer: nn.Module) -> bool:
    indices = type(layer) is nn.MaxPool2d and layer.return_indices
    return type(layer) in _ANY_LAYOUT and plain(layer) and not indices


def _in_order(x: Tensor) -> Tensor:
    """Give maps that lie in memory as (N, C, H, W); contiguous() would take a single channel for either order."""
    if x.dim() != 4:
        return x
    _, channels, height, width = x.shape
    strides = (channels * height * width, height * width, width, 1)
    return x if x.stride() == strides else x.clone(memory_format=torch.contiguous_format)
