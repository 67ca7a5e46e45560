"""Grids of three by three that show what an augmentation does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from neocog.augment import Augmentation, Mixing
from neocog.augment.kinds import KINDS, Kind, settings_text
from neocog.augment.originals import first_images
from neocog.data.source import Source
from neocog.errors import DataError
from neocog.report.samples import label_texts, plot_samples
from neocog.settings import AugmentSettings, DataSettings
from neocog.training.keys import key

_CELLS = 9
_SMALL_CELL, _LARGE_CELL = 1.6, 2.6  # inches of the longer side
_SMALL = 64  # pixels


class Grids:
    """The first image of a source, nine cells a grid: the image as it is, and eight changes of it drawn from `seed`.

    Mixing shows nine images of as many classes as there are instead. Raises `DataError` where no image can be read.
    """

    def __init__(self, source: Source, data: DataSettings | None = None, *, seed: int = 0) -> None:
        self.originals = first_images(source, _CELLS, data or DataSettings())
        self.images = torch.from_numpy(np.stack([original.pixels for original in self.originals]))
        self.seed = seed

    @property
    def side(self) -> int:
        """Pixels of the longer side."""
        return max(self.images.shape[2:])

    @property
    def channels(self) -> int:
        """1 for gray images, 3 for colour."""
        return self.images.shape[1]

    def drawable(self, kind: Kind) -> str:
        """Say why a kind does nothing for these images; empty where it does something."""
        settings = kind.settings(self.side)
        if kind.needs_colour and self.channels == 1:
            return "needs a colour image"
        if (settings.mixup or settings.cutmix) and len(self.images) == 1:
            return "needs several images: give a folder or a data set"
        return ""

    def draw(self, settings: AugmentSettings, title: str, path: Path) -> Path:
        """Draw a grid of `settings` as PNG; gives `path`. Raises `DataError` where a single image is to be mixed."""
        changed, labels = self._mixed(settings) if settings.mixup or settings.cutmix else self._changed(settings)
        height, width = changed.shape[2:]
        inches = (_SMALL_CELL if self.side <= _SMALL else _LARGE_CELL) / max(height, width)
        text = settings_text(settings)
        title = f"{title}\n{text}" if text and len(text) < 60 else title
        return plot_samples(changed, labels, path, title=title, cell=(inches * width, inches * height))

    def draw_all(self, folder: Path) -> Iterator[tuple[Kind, Path | str]]:
        """Draw a grid of each kind into `folder`; gives each with its file, or with why there is none."""
        for kind in KINDS:
            reason = self.drawable(kind)
            file = folder / f"{kind.name}.png"
            yield kind, reason or self.draw(kind.settings(self.side), kind.title, file)

    def _changed(self, settings: AugmentSettings) -> tuple[torch.Tensor, list[str]]:
        same = self.images[:1].expand(_CELLS - 1, *self.images.shape[1:]).contiguous()
        changed = Augmentation(settings, channels=self.channels)(same, seed=key(self.seed, "grid"))
        return torch.cat([self.images[:1], changed]), ["original", *map(str, range(1, _CELLS))]

    def _mixed(self, settings: AugmentSettings) -> tuple[torch.Tensor, list[str]]:
        if len(self.images) == 1:
            raise DataError("mixing needs several images, and there is one. Give a folder of images or a data set.")
        classes = list(dict.fromkeys(original.label for original in self.originals))
        labels = torch.tensor([classes.index(original.label) for original in self.originals])
        images = Augmentation(settings, channels=self.channels)(self.images, seed=key(self.seed, "grid"))
        images, mixed = Mixing(settings, len(classes))(images, labels, seed=key(self.seed, "grid of mixtures"))
        return images, label_texts(mixed, [name or "image" for name in classes])
