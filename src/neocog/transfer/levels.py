"""Features of several depths of a trunk in one pass: how early a network's features already tell the classes apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neocog.models.pieces import Pieces
from neocog.transfer.trunk import Trunk

# Of the pieces with weights of their own before the head: a third, two thirds, all.
_DEPTHS = (1 / 3, 2 / 3)


class Levels(nn.Module):
    """The front of a trunk that gives, beside its own features, the channel means of two earlier pieces.

    `names` are the pieces, the trunk's own last; `widths` after a pass the number of features of each.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        scaling, row = trunk.front[0], trunk.front[1]  # type: ignore[index]
        if not isinstance(row, Pieces):
            raise TypeError(f"expected the pieces of a trunk, not {type(row).__name__}")
        self.scaling, self.row = scaling, row
        blocks = [place for place, name in enumerate(row.names) if "." in name] or list(range(len(row.names)))
        self._places = tuple(blocks[round(depth * len(blocks))] for depth in _DEPTHS)
        self.names = (*(row.names[place] for place in self._places), row.names[-1])
        self.widths: tuple[int, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """Give the features of all levels side by side: (N, the sum of `widths`)."""
        x, found = self.scaling(images), list[Tensor]()
        for place, module in enumerate(self.row.row):
            x = module(x)
            if place in self._places:
                found.append(x.mean(dim=(2, 3)) if x.ndim == 4 else x)
        found.append(x.flatten(1))
        self.widths = tuple(part.shape[1] for part in found)
        return torch.cat([part.float() for part in found], dim=1)
