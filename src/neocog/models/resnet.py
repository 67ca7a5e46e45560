"""ResNet-18, -34 and -50, with the layout and the parameter names of the widely published weights.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016. As in the published
weights, a bottleneck takes its stride in the 3x3 convolution ("v1.5"), where the paper has it in the first
1x1. No ReLU works in place, so that a hook on any layer sees that layer's own output.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from neocog.models.network import FlattenView, Row


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _downsample(in_channels, channels * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Give relu(body(x) + shortcut(x))."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x = self.relu(x + shortcut)
        return x


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut: the output has 4 * channels channels."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = _downsample(in_channels, channels * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Give relu(body(x) + shortcut(x))."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x = self.relu(x + shortcut)
        return x


class ResNet(Row):
    """Images (N, in_channels, H, W) of any size to logits (N, num_classes)."""

    def __init__(
        self, block: type[BasicBlock | Bottleneck], depths: Sequence[int], in_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(block, 64, 64, depths[0], stride=1)
        self.layer2 = _layer(block, 64 * block.expansion, 128, depths[1], stride=2)
        self.layer3 = _layer(block, 128 * block.expansion, 256, depths[2], stride=2)
        self.layer4 = _layer(block, 256 * block.expansion, 512, depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = FlattenView()
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def resnet18(in_channels: int, num_classes: int) -> ResNet:
    """Build ResNet-18; 11,689,512 parameters at 3 channels and 1000 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), in_channels, num_classes)


def resnet34(in_channels: int, num_classes: int) -> ResNet:
    """Build ResNet-34; 21,797,672 parameters at 3 channels and 1000 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), in_channels, num_classes)


def resnet50(in_channels: int, num_classes: int) -> ResNet:
    """Build ResNet-50; 25,557,032 parameters at 3 channels and 1000 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), in_channels, num_classes)


def _layer(
    block: type[BasicBlock | Bottleneck], in_channels: int, channels: int, depth: int, stride: int
) -> nn.Sequential:
    first = block(in_channels, channels, stride)
    rest = (block(channels * block.expansion, channels, 1) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


def _downsample(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )
