"""VGG-11, -13, -16 and -19, with and without batch normalisation.

Source: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(configurations A, B, D and E). Layout and parameter names are those of the widely published weights. No ReLU
works in place, so that a hook on any layer sees that layer's own output.
"""

from __future__ import annotations

from torch import nn

from neocog.models.network import FlattenView, Row

# Channels of the 3x3 convolutions of each of the five stages; a 2x2 max pooling ends each stage.
_STAGES: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    13: ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    16: ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGG(Row):
    """Images (N, in_channels, H, W), H and W at least 32, to logits (N, num_classes)."""

    def __init__(self, depth: int, in_channels: int, num_classes: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.features = _features(depth, in_channels, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.flatten = FlattenView()
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, num_classes),
        )
        self.apply(_initialise)


def vgg(depth: int, in_channels: int, num_classes: int, *, batch_norm: bool = False) -> VGG:
    """Build VGG with `depth` (11, 13, 16 or 19) layers of weights."""
    return VGG(depth, in_channels, num_classes, batch_norm=batch_norm)


def _features(depth: int, in_channels: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for stage in _STAGES[depth]:
        for channels in stage:
            layers.append(nn.Conv2d(in_channels, channels, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU())
            in_channels = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
