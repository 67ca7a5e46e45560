"""A small map laid over the image that it was made from: each unit where it looks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.explain.forward import Forward
from neocog.explain.written import written_layers

# For each axis the middle of the first and of the last unit's receptive field, in pixels.
Centres = tuple[tuple[float, float], tuple[float, float]]


def centres(forward: Forward, layer: str) -> Centres | None:
    """Give where the units of a layer look, (rows, columns), each as the first and the last unit's middle.

    Those of a block look where the last layer of its body does. None for a network that is not in the notation, or no
    longer what that says, and for a layer without maps.
    """
    own = {
        name: shape
        for name, shape in written_layers(forward).items()
        if name == layer or (name.startswith(f"{layer}.") and not name.startswith(f"{layer}.shortcut."))
    }
    found = list(own.values())[-1] if own else None
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
