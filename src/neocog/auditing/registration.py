"""Whether one picture is a part of another: the smaller laid over the larger, at every place and in many sizes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.data.source import UInt8

FINE, _COARSE = 96, 32  # pixels of the longer side
_SMALLEST = 0.5  # of the larger picture: a smaller part is not looked for
_STEP = 0.95
_WORTH_REFINING = 0.75


def overlap(one: UInt8, other: UInt8) -> float:
    """How well one of two gray pictures, uint8 (1, H, W) of at most FINE pixels, fits somewhere on the other: -1 to 1.

    It is the largest normalised cross-correlation (Lewis, "Fast Normalized Cross-Correlation", 1995) over all places,
    sizes from 1/2 to all of the other, and mirrored or not. Brightness and contrast do not count.
    """
    fine = [torch.from_numpy(picture[0].astype(np.float32)) for picture in (one, other)]
    coarse = [_at_most(picture, _COARSE) for picture in fine]
    best = -1.0
    for whole, part in ((0, 1), (1, 0)):
        found, share = _best(coarse[whole], coarse[part], _shares())
        if found > _WORTH_REFINING:
            found, _ = _best(fine[whole], fine[part], [share * times for times in np.linspace(0.94, 1.06, 13)])
        best = max(best, found)
    return best


def _shares() -> list[float]:
    count = int(np.log(_SMALLEST) / np.log(_STEP)) + 1
    return [_STEP**power for power in range(count)]


def _best(whole: Tensor, part: Tensor, shares: Iterable[float]) -> tuple[float, float]:
    """Give the largest correlation of `part` within `whole`, and the share of `whole` that it then fills."""
    (height, width), (own_height, own_width) = whole.shape, part.shape
    most = min(height / own_height, width / own_width)
    field = _Field(whole)
    best, best_share, tried = -1.0, 1.0, set[tuple[int, int]]()
    for share in shares:
        size = (_side(own_height * most * share, height), _side(own_width * most * share, width))
        if size in tried:
            continue
        tried.add(size)
        found = field.correlation(part, size)
        if found > best:
            best, best_share = found, share
    return best, best_share


class _Field:
    """A picture (H, W) that others are laid over: its spectrum, and sums over all of its rectangles."""

    def __init__(self, whole: Tensor) -> None:
        self._shape = (whole.shape[0], whole.shape[1])
        self._spectrum = torch.fft.rfft2(whole)
        moments = torch.stack([whole, whole * whole]).double()
        self._sums = F.pad(moments.cumsum(1).cumsum(2), (1, 0, 1, 0))

    def correlation(self, part: Tensor, size: tuple[int, int]) -> float:
        """Give the largest correlation of `part`, brought to `size` and mirrored or not, over all places."""
        (height, width), (rows, columns) = size, self._shape
        template = F.interpolate(part[None, None], size, mode="bilinear", antialias=True)[0]
        template = template - template.mean()
        norm = float(template.norm())
        # a single colour fits everywhere and nowhere
        if norm < 1:
            return -1.0
        both = torch.fft.rfft2(torch.cat([template, template.flip(2)]), s=self._shape)
        products = torch.fft.irfft2(self._spectrum * both.conj(), s=self._shape)
        found = products[:, : rows - height + 1, : columns - width + 1]
        sums = self._sums
        total = sums[:, height:, width:] - sums[:, :-height, width:] - sums[:, height:, :-width]
        total = total + sums[:, :-height, :-width]
        pixels = height * width
        variance = (total[1] / pixels - (total[0] / pixels) ** 2).clamp(min=1)
        return float((found / (norm * (variance * pixels).sqrt())).max())


def _side(side: float, most: int) -> int:
    return max(min(4, most), min(most, round(side)))


def _at_most(picture: Tensor, side: int) -> Tensor:
    scale = side / max(picture.shape)
    if scale >= 1:
        return picture
    size = [max(4, round(length * scale)) for length in picture.shape]
    return F.interpolate(picture[None, None], size, mode="bilinear", antialias=True)[0, 0]
