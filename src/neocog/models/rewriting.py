"""A linear layer written as a convolution, and a convolution written as a linear layer, with equal outputs.

A linear layer is a convolution whose kernel is as large as its input. A convolution is a linear layer most of whose
weights are missing (0) and whose others are shared: one number stands in many places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from operator import index

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ModelError
from neocog.models.network import SameConv2d
from neocog.notation import shape_text

MOST_WEIGHTS = 100_000_000
"""The largest matrix that is made unless more is asked for: 400 MB in float32."""

_Map = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class ConvPattern:
    """Which weight of a convolution stands where in the matrix of the linear layer that does the same.

    The matrix is (outputs, inputs), both in the order of `nn.Flatten`: channel, row, column. The three index tensors
    have an entry for each connection, int64 (connections,); where there is none, the matrix is 0.

    Attributes:
        input_shape: (C, H, W).
        output_shape: (C', H', W').
        outputs: the row of each connection in the matrix.
        inputs: its column.
        weights: which weight it has, an index into `conv.weight.flatten()`.
    """

    input_shape: _Map
    output_shape: _Map
    outputs: Tensor
    inputs: Tensor
    weights: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(outputs, inputs) of the matrix."""
        return prod(self.output_shape), prod(self.input_shape)

    @property
    def mask(self) -> Tensor:
        """The matrix as bool (outputs, inputs): True where there is a connection."""
        return self.places >= 0

    @property
    def places(self) -> Tensor:
        """The matrix as int64 (outputs, inputs): which weight stands there, -1 where none does."""
        places = torch.full(self.shape, -1, device=self.outputs.device)
        places[self.outputs, self.inputs] = self.weights
        return places


def linear_as_conv(linear: nn.Linear, input_shape: Sequence[int]) -> nn.Conv2d:
    """Write a linear layer on a flattened map as a convolution on the map itself.

    Args:
        linear: what comes after `nn.Flatten`.
        input_shape: the map (C, H, W) before that; (inputs, 1, 1) where there is none.

    Returns:
        A convolution with a kernel of HxW, which gives (N, outputs, 1, 1) for (N, C, H, W). A larger map gives a larger
        one: the linear layer at every position. Its weights are copies, of the same type and on the same device.

    Raises:
        ModelError: not a shape, or one whose values are not the inputs of the layer.
    """
    channels, height, width = _map(input_shape)
    if channels * height * width != linear.in_features:
        raise ModelError(
            f"a map {shape_text((channels, height, width))} has {channels * height * width:,} values, but the linear "
            f"layer takes {linear.in_features:,}. Give the shape of the map that is flattened before it."
        )
    bias = linear.bias is not None
    # on "meta" nothing is drawn from the user's random generator
    conv = nn.Conv2d(channels, linear.out_features, (height, width), bias=bias, device="meta")
    conv.weight = nn.Parameter(linear.weight.detach().reshape(-1, channels, height, width).clone())
    if bias:
        conv.bias = nn.Parameter(linear.bias.detach().clone())
    return conv


def conv_as_linear(conv: nn.Conv2d, input_shape: Sequence[int], *, most_weights: int = MOST_WEIGHTS) -> nn.Linear:
    """Write a convolution as the linear layer that gives the same values, all zeros and repetitions written out.

    Args:
        conv: with any kernel, stride, zero padding, dilation and groups.
        input_shape: the map (C, H, W) that comes in.
        most_weights: how large the matrix may be.

    Returns:
        A linear layer from C*H*W to C'*H'*W' values in the order of `nn.Flatten`. Its weights are copies, of the same
        type and on the same device. Where it is trained, what was shared or missing no longer is.

    Raises:
        ModelError: an input that does not fit, a padding that is not of zeros, or a matrix that is too large.
    """
    shape = _map(input_shape)
    inputs, outputs = prod(shape), prod(_output_shape(conv, shape))
    if outputs * inputs > most_weights:
        size = outputs * inputs * conv.weight.element_size() / 1e9
        raise ModelError(
            f"as a linear layer the convolution on {shape_text(shape)} has {outputs:,} outputs x {inputs:,} inputs = "
            f"{outputs * inputs:,} weights ({size:,.1f} GB); at most {most_weights:,} are made. "
            "Give a smaller input, or a larger most_weights."
        )
    pattern = conv_pattern(conv, shape)
    weight = conv.weight.detach()
    matrix = weight.new_zeros(pattern.shape)
    matrix[pattern.outputs, pattern.inputs] = weight.flatten()[pattern.weights]
    linear = nn.Linear(inputs, outputs, bias=conv.bias is not None, device="meta")
    linear.weight = nn.Parameter(matrix)
    if conv.bias is not None:
        linear.bias = nn.Parameter(conv.bias.detach().repeat_interleave(outputs // conv.out_channels))
    return linear


def conv_pattern(conv: nn.Conv2d, input_shape: Sequence[int]) -> ConvPattern:
    """Say for a convolution on a map (C, H, W) which of its weights connects which output with which input.

    Raises:
        ModelError: an input that does not fit, a padding that is not of zeros, or far too many connections.
    """
    shape = _map(input_shape)
    output_shape = _output_shape(conv, shape)
    groups, (down, right), device = conv.groups, conv.kernel_size, conv.weight.device
    maps, seen = conv.out_channels // groups, conv.in_channels // groups
    connections = prod(output_shape[1:]) * conv.weight.numel()
    if connections > MOST_WEIGHTS:
        raise ModelError(
            f"the convolution on {shape_text(shape)} has {connections:,} connections; at most {MOST_WEIGHTS:,} are "
            "listed. Give a smaller input."
        )
    rows, columns = output_shape[1:]
    axes = (groups, maps, seen, rows, down, columns, right)
    inputs = _seen(conv, shape, output_shape).view(groups, 1, seen, rows, down, columns, right).expand(axes)
    weights = torch.arange(conv.weight.numel(), device=device).view(groups, maps, seen, 1, down, 1, right).expand(axes)
    outputs = torch.arange(prod(output_shape), device=device).view(groups, maps, 1, rows, 1, columns, 1).expand(axes)
    there = inputs >= 0
    return ConvPattern(shape, output_shape, outputs[there], inputs[there], weights[there])


def _seen(conv: nn.Conv2d, shape: _Map, output_shape: _Map) -> Tensor:
    """The number of the input that each tap sees, -1 in the padding: (C, H', taps down, W', taps right)."""
    device = conv.weight.device
    numbers = torch.arange(prod(shape), device=device).view(shape)
    padded = F.pad(numbers, _margins(conv, shape), value=-1)
    rows, columns = (
        torch.arange(places, device=device)[:, None] * stride + torch.arange(taps, device=device) * dilation
        for places, stride, taps, dilation in zip(
            output_shape[1:], conv.stride, conv.kernel_size, conv.dilation, strict=True
        )
    )
    return padded[:, rows[:, :, None, None], columns]


def _output_shape(conv: nn.Conv2d, shape: _Map) -> _Map:
    if not isinstance(conv, nn.Conv2d):
        raise ModelError(f"expected a convolution, nn.Conv2d, got {type(conv).__name__}.")
    if conv.padding_mode != "zeros":
        raise ModelError(
            f"the convolution pads with padding_mode {conv.padding_mode!r}, where one input can stand in several "
            "places; only padding of zeros can be written as a pattern."
        )
    channels, height, width = shape
    if channels != conv.in_channels:
        raise ModelError(f"the convolution takes {conv.in_channels} channels, but the map is {shape_text(shape)}.")
    left, right, top, bottom = _margins(conv, shape)
    rows, columns = (
        (padded - (taps - 1) * dilation - 1) // stride + 1
        for padded, taps, dilation, stride in zip(
            (top + height + bottom, left + width + right), conv.kernel_size, conv.dilation, conv.stride, strict=True
        )
    )
    if rows < 1 or columns < 1:
        raise ModelError(f"the kernel {shape_text(conv.kernel_size)} fits nowhere on the map {shape_text(shape)}.")
    return conv.out_channels, rows, columns


def _margins(conv: nn.Conv2d, shape: _Map) -> tuple[int, int, int, int]:
    """Lines of zeros (left, right, top, bottom)."""
    if isinstance(conv, SameConv2d):
        return conv.margins_for(*shape[1:])
    if conv.padding == "same":
        down, right = ((taps - 1) * apart for taps, apart in zip(conv.kernel_size, conv.dilation, strict=True))
        return right // 2, right - right // 2, down // 2, down - down // 2
    rows, columns = (0, 0) if isinstance(conv.padding, str) else conv.padding
    return columns, columns, rows, rows


def _map(shape: Sequence[int]) -> _Map:
    try:
        sizes = tuple(map(index, shape))
    except TypeError:
        sizes = ()
    if len(sizes) != 3 or min(sizes) < 1:
        raise ModelError(f"a map has three sizes (channels, height, width) of at least 1, not {shape!r}.")
    return sizes[0], sizes[1], sizes[2]
