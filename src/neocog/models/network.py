"""From the notation to torch modules, whose names are the notation's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ModelError
from neocog.kernels.plan import InTurn
from neocog.models.lenet import EuclideanRBF, Subsample, TableConv2d
from neocog.notation import (
    Activation,
    ActivationKind,
    AvgPool,
    BatchNorm,
    Block,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LayerShape,
    Linear,
    MaxPool,
    Network,
    Rbf,
    Tree,
)
from neocog.notation import Subsample as SubsampleLayer


class NotationNetwork(InTurn):
    """A network in the notation as a module: images, float (N, C, H, W), to logits, float (N, num_classes).

    Its layers are children under the notation's names, so that the keys of the state dict are `conv1.weight`,
    `block2.conv1.weight`, `block2.shortcut.conv1.weight`. A trailing `softmax` keeps its name and does
    nothing: the output is the logits before it, in training and in evaluation.

    `notation` is the canonical text (with `linear classes` as written), `input_shape` the (C, H, W) and
    `num_classes` the number that it was built for. Raises `NotationError` where the network does not fit
    them.
    """

    def __init__(self, network: Network, input_shape: Sequence[int], num_classes: int | None = None) -> None:
        super().__init__()
        layers = network.shapes(input_shape, num_classes)
        self.notation = str(network)
        self.input_shape = layers[0].input_shape
        self.num_classes = num_classes
        _add(self, network.tree(), "", {layer.name: layer for layer in layers})


class Chain(InTurn):
    """The named layers of a group, one after the other."""


class ResidualChain(InTurn):
    """The named layers of a residual body, and beside them its `shortcut`; their outputs are added.

    `shortcut` is None where the input itself is added.
    """

    shortcut: Chain | None

    def forward(self, x: Tensor) -> Tensor:
        """Give body(x) + shortcut(x)."""
        return self.in_turn(x) + (x if self.shortcut is None else self.shortcut(x))

    def sequence(self) -> list[tuple[str, nn.Module]]:
        """Give the layers of the body, with their names."""
        return [(name, layer) for name, layer in self.named_children() if name != "shortcut"]


class SameConv2d(nn.Conv2d):
    """A convolution that keeps the size although its kernel is even: the extra line of zeros is bottom and
    right.

    `margins` is the padding (left, right, top, bottom). It computes what `padding="same"` does, without the
    warning that PyTorch prints for even kernels.
    """

    margins: tuple[int, int, int, int]

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return super().forward(F.pad(input, self.margins_for(*input.shape[-2:])))

    def margins_for(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Give the padding (left, right, top, bottom) of an input of this size; here it is the same for all."""
        return self.margins


class GlobalAverage(nn.Module):
    """The mean of each channel: (N, C, H, W) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average over height and width."""
        return x.mean((2, 3))


class Row(nn.Module):
    """A network whose parts run in the order in which they were added, each on what the one before it gave."""

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits, float (N, num_classes), of scaled images, float (N, in_channels, H, W)."""
        for part in self.children():
            x = part(x)
        return x


class FlattenView(nn.Flatten):
    """The flattening of a published network in which it is no layer: it takes no memory, and no table counts any."""


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3), the activation of LeCun, Bottou, Bengio, Haffner (1998)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each value."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class TrailingSoftmax(nn.Module):
    """The place of a softmax at the end of a network: it gives the logits on as they are."""

    def forward(self, logits: Tensor) -> Tensor:
        """Give the logits as they are."""
        return logits


_ACTIVATIONS: Mapping[ActivationKind, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "scaledtanh": ScaledTanh,
    "sigmoid": nn.Sigmoid,
    "softmax": TrailingSoftmax,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def _add(parent: nn.Module, tree: Tree, scope: str, shapes: Mapping[str, LayerShape]) -> None:
    for name, item in tree:
        full = scope + name
        parent.add_module(name, _module(shapes[full]) if isinstance(item, Layer) else _block(item, full, shapes))


def _block(block: Block, name: str, shapes: Mapping[str, LayerShape]) -> nn.Module:
    made = ResidualChain() if block.residual else Chain()
    _add(made, block.children, f"{name}.", shapes)
    if isinstance(made, ResidualChain):
        made.shortcut = None
        if block.shortcut is not None:
            made.shortcut = Chain()
            _add(made.shortcut, block.shortcut, f"{name}.shortcut.", shapes)
    return made


def _module(shape: LayerShape) -> nn.Module:
    layer, incoming = shape.layer, shape.input_shape
    match layer:
        case Conv():
            return _conv(layer, incoming[0])
        case Linear():
            return nn.Linear(incoming[0], layer.outputs, bias=layer.bias)
        case MaxPool(kernel, stride, padding):
            return nn.MaxPool2d(kernel, stride, padding)
        case AvgPool(kernel, stride, padding):
            return nn.AvgPool2d(kernel, stride, padding)
        case SubsampleLayer(kernel):
            return Subsample(incoming[0], kernel)
        case GlobalAvgPool():
            return GlobalAverage()
        case BatchNorm():
            return nn.BatchNorm2d(incoming[0]) if len(incoming) == 3 else nn.BatchNorm1d(incoming[0])
        case Dropout(p):
            return nn.Dropout(p)
        case Flatten():
            return nn.Flatten()
        case Rbf(_, digits):
            return EuclideanRBF(incoming[0], layer.outputs, digits=digits)
        case Activation(kind):
            return _ACTIVATIONS[kind]()
    raise ModelError(f"no module is known for the layer '{layer}' of {shape.name}. Leave it out or use another.")


def _conv(layer: Conv, in_channels: int) -> nn.Conv2d | TableConv2d:
    (top, bottom), (left, right) = layer.pads()
    if layer.table is not None:
        return TableConv2d(
            in_channels,
            layer.table,
            layer.kernel,
            stride=layer.stride,
            margins=(left, right, top, bottom),
            dilation=layer.dilation,
            bias=layer.bias,
        )
    even = (top, left) != (bottom, right)
    conv = (SameConv2d if even else nn.Conv2d)(
        in_channels,
        layer.channels,
        layer.kernel,
        stride=layer.stride,
        padding=0 if even else (top, left),
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
    )
    if isinstance(conv, SameConv2d):
        conv.margins = (left, right, top, bottom)
    return conv
