"""Trunk: a published network without its head, which turns any image into a row of features."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from neocog.data.geometry import Geometry, Resize
from neocog.data.source import Progress
from neocog.features import features
from neocog.models import Scaling, build
from neocog.models.pieces import Pieces, head_start, pieces
from neocog.models.pretrained import IMAGENET, load_pretrained
from neocog.models.published import preprocessing
from neocog.recipe import TrainSettings
from neocog.training.hardware import Hardware, hardware, resolve

DEFAULT = "efficientnet-lite0"


@dataclass(frozen=True, eq=False)
class Trunk:
    """A network up to its head, with the images that it takes.

    `front` takes uint8 images (N, C, H, W) of the `geometry` and gives features (N, D) for a linear layer.
    """

    name: str
    geometry: Geometry
    front: nn.Module
    hardware: Hardware

    def features(self, images: Tensor, progress: Progress | None = None) -> Tensor:
        """Give the features, float32 (N, D) on the CPU, of uint8 images (N, C, H, W); cached on disk."""
        return features(self.front, images, self.hardware, progress=progress).flatten(1)


def transfer_size(name: str) -> tuple[int, int]:
    """Give the (height, width) at which a network with published weights is used for new images: 288 for 224.

    In training on random crops things look larger than in whole images; at 9/7 of that size they look alike again
    (Touvron, Vedaldi, Douze, Jegou, "Fixing the train-test resolution discrepancy", NeurIPS 2019).
    """
    height, width = preprocessing(name).image_size
    return height * 9 // 7, width * 9 // 7


def load_trunk(
    name: str = DEFAULT,
    *,
    weights: str = IMAGENET,
    image_size: tuple[int, int] | None = None,
    resize: Resize = "crop",
    progress: Progress | None = None,
) -> Trunk:
    """Load a named network with published weights, or those of a file, without its head.

    Raises `WeightsError` where the weights cannot be had (it says how to get them) or do not fit.
    """
    expected = preprocessing(name)
    geometry = Geometry(image_size or transfer_size(name), 3, resize)
    network = build(name, geometry.shape, 2, seed=0)
    load_pretrained(network, name, weights, progress=progress)
    row = pieces(network)
    front = nn.Sequential(Scaling(expected.mean, expected.std), Pieces(row[: head_start(row)]))
    settings = TrainSettings()
    settings = settings.model_copy(
        update={key.removeprefix("train."): value for key, value in resolve(settings, network).items()}
    )
    place = hardware(settings)
    place.place(front)
    front.eval().requires_grad_(False)
    return Trunk(name, geometry, front, place)
