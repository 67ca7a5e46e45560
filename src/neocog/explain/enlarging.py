"""A small map laid over the image that it was made from: each unit where it looks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.explain.layers import plain_network
from neocog.models.network import NotationNetwork
from neocog.notation import parse

# For each axis the middle of the first and of the last unit's receptive field, in pixels.
Centres = tuple[tuple[float, float], tuple[float, float]]


def centres(model: nn.Module, layer: str, image: tuple[int, int]) -> Centres | None:
    """Give where the units of a layer look, (rows, columns), each as the first and the last unit's middle.

    None for a network that is not in the notation, and for a layer that it does not name.
    """
    network = plain_network(model)
    if not isinstance(network, NotationNetwork):
        return None
    written = parse(network.notation).shapes((network.input_shape[0], *image), network.num_classes)
    found = next((shape for shape in written if shape.name == layer), None)
    if found is None or len(found.output_shape) != 3:
        return None
    first, last = found.sees(0, 0), found.sees(found.output_shape[1] - 1, found.output_shape[2] - 1)
    rows, columns = ((sum(first[axis]) / 2, sum(last[axis]) / 2) for axis in (0, 1))
    return rows, columns


def enlarged(maps: Tensor, size: tuple[int, int], middles: Centres | None) -> Tensor:
    """Enlarge maps (N, C, h, w) to (N, C, H, W), between their units bilinearly and beyond the outermost constant.

    `middles` says where the units stand; None stretches the maps over the whole, as Grad-CAM usually does.
    """
    if middles is None:
        return F.interpolate(maps, size, mode="bilinear")
    rows, columns = (_from_minus_one_to_one(length, *ends).to(maps) for length, ends in zip(size, middles, strict=True))
    places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    grid = places.expand(len(maps), *places.shape)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _from_minus_one_to_one(length: int, first: float, last: float) -> Tensor:
    """Give where each pixel lies among the units: -1 is the middle of the first, 1 that of the last."""
    if first == last:
        return torch.zeros(length)
    return 2 * (torch.arange(length) - first) / (last - first) - 1
