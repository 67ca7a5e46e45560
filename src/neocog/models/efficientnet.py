"""EfficientNet-Lite0, with the layout and, but for leading underscores, the parameter names of its published weights.

Source: Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite
variants (2020) leave out squeeze-and-excitation and take ReLU6 in place of swish, so that they run well on a CPU. No
ReLU6 works in place, so that a hook on any layer sees that layer's own output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from neocog.models.network import FlattenView, Row, SameConv2d

# As in the published network, whose TensorFlow momentum of 0.99 is PyTorch's 0.01.
_EPSILON, _MOMENTUM = 1e-3, 0.01


class _Blocks(NamedTuple):
    """Blocks of one kind in a row; only the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_LITE0 = (
    _Blocks(1, 3, 1, 1, 16),
    _Blocks(2, 3, 2, 6, 24),
    _Blocks(2, 5, 2, 6, 40),
    _Blocks(3, 3, 2, 6, 80),
    _Blocks(3, 5, 1, 6, 112),
    _Blocks(4, 5, 2, 6, 192),
    _Blocks(1, 3, 1, 6, 320),
)


class CeilConv2d(SameConv2d):
    """A convolution without bias whose output is the input divided by the stride, rounded up (TensorFlow's "SAME").

    The zeros around the input are as few as that takes, the odd one bottom and right.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, channels, kernel, stride=stride, groups=groups, bias=False)

    def margins_for(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Give the padding (left, right, top, bottom) of an input of this size."""
        (top, bottom), (left, right) = (
            self._line(size, kernel, stride)
            for size, kernel, stride in zip((height, width), self.kernel_size, self.stride, strict=True)
        )
        return left, right, top, bottom

    @staticmethod
    def _line(size: int, kernel: int, stride: int) -> tuple[int, int]:
        missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        return missing // 2, missing - missing // 2


class InvertedBottleneck(nn.Module):
    """Expand by a 1x1 convolution, look around in each channel alone, project by another 1x1 convolution.

    (N, in_channels, H, W) to (N, channels, H/stride, W/stride); where the shapes allow it the input is added.
    """

    def __init__(self, in_channels: int, channels: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        if expansion > 1:
            self.expand_conv = nn.Conv2d(in_channels, wide, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(wide, _EPSILON, _MOMENTUM)
        self.depthwise_conv = CeilConv2d(wide, wide, kernel, stride=stride, groups=wide)
        self.bn1 = nn.BatchNorm2d(wide, _EPSILON, _MOMENTUM)
        self.project_conv = nn.Conv2d(wide, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, _EPSILON, _MOMENTUM)
        self.relu6 = nn.ReLU6()
        self.expands = expansion > 1
        self.adds_input = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """Give project(depthwise(expand(x))), plus x where the shapes are the same."""
        y: Tensor = self.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = self.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return y + x if self.adds_input else y


class EfficientNetLite(Row):
    """Images (N, in_channels, H, W) of any size to logits (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv_stem = CeilConv2d(in_channels, 32, 3, stride=2)
        self.bn0 = nn.BatchNorm2d(32, _EPSILON, _MOMENTUM)
        self.relu6 = nn.ReLU6()
        self.blocks = nn.Sequential(*_blocks(32))
        self.conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(1280, _EPSILON, _MOMENTUM)
        self.relu6_head = nn.ReLU6()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = FlattenView()
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1280, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def efficientnet_lite0(in_channels: int, num_classes: int) -> EfficientNetLite:
    """Build EfficientNet-Lite0; 4,652,008 parameters at 3 channels and 1000 classes."""
    return EfficientNetLite(in_channels, num_classes)


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the published tensors (`_blocks.0._bn1.weight`) under the names they have here (`blocks.0.bn1.weight`)."""
    return {".".join(part.removeprefix("_") for part in name.split(".")): tensor for name, tensor in tensors.items()}


def _blocks(in_channels: int) -> list[InvertedBottleneck]:
    made = []
    for row in _LITE0:
        for place in range(row.repeats):
            made.append(
                InvertedBottleneck(
                    in_channels,
                    row.channels,
                    kernel=row.kernel,
                    stride=row.stride if place == 0 else 1,
                    expansion=row.expansion,
                )
            )
            in_channels = row.channels
    return made
