"""Source: what a data set is before it is divided: labels, parts, and a way to its pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from neocog.data.file_names import chosen
from neocog.data.geometry import Geometry
from neocog.data.imageset import Skipped
from neocog.errors import DataError

Part = Literal["train", "valid", "test"]
Progress = Callable[[str, int, int], None]
UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Native:
    """What the images are by themselves: (height, width) if all share one, else None; 1 or 3 channels."""

    image_size: tuple[int, int] | None
    channels: int


class Pixels(Protocol):
    """The images of a source, wherever they lie. Rows are numbered as the source's labels."""

    def __len__(self) -> int:
        """Number of images."""

    def native(self, progress: Progress | None) -> Native:
        """The size and channels that the images have by themselves."""

    def read(self, geometry: Geometry, out: UInt8, progress: Progress | None) -> tuple[Int64, Mapping[int, str]]:
        """Write the readable images, in order and without gaps, into `out` (N, C, H, W).

        Gives the row numbers written, ascending, and the reason for each row that could not be read.
        """

    def only(self, rows: Int64) -> Pixels:
        """The images at `rows`."""


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled images that are not yet divided or decoded.

    `labels` int64 (N,) index `classes`; `parts` (N,) says "train", "valid" or "test" for each image;
    `groups`, where known, names what belongs together; `files` names the file of each image.
    """

    name: str
    classes: tuple[str, ...]
    labels: Int64
    parts: Texts
    pixels: Pixels
    groups: tuple[str, ...] | None = None
    files: Sequence[str] | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, rows: Int64) -> Source:
        """The source without the images that are not in `rows`, in the order of `rows`."""
        return replace(
            self,
            labels=self.labels[rows],
            parts=self.parts[rows],
            pixels=self.pixels.only(rows),
            groups=None if self.groups is None else tuple(self.groups[row] for row in rows),
            files=None if self.files is None else chosen(self.files, rows),
        )

    def readable(self, kept: Int64, bad: Mapping[int, str]) -> Source:
        """The source without the rows in `bad`, which are reported as skipped, each for its reason."""
        if not bad:
            return self
        skipped = tuple(
            Skipped(str(row) if self.files is None else self.files[row], reason) for row, reason in sorted(bad.items())
        )
        return replace(self.only(kept), skipped=self.skipped + skipped)


class ArrayPixels:
    """Images that are already decoded: uint8 (N, C, H, W), one size and mode."""

    def __init__(self, images: UInt8) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def native(self, progress: Progress | None) -> Native:
        """Their own size and channels."""
        _, channels, height, width = self._images.shape
        return Native((height, width), channels)

    def read(self, geometry: Geometry, out: UInt8, progress: Progress | None) -> tuple[Int64, Mapping[int, str]]:
        """Copy, or bring to another geometry as a decoded file would be."""
        if self._images.shape[1:] == geometry.shape and geometry.resize != "imagenet":
            out[:] = self._images
        elif self._keeps_size(geometry):
            self._place(geometry, out)
        else:
            self._convert(geometry, out, progress)
        return np.arange(len(self)), {}

    def only(self, rows: Int64) -> ArrayPixels:
        """The images at `rows`, copied unless they are all."""
        return self if np.array_equal(rows, np.arange(len(self))) else ArrayPixels(self._images[rows])

    def _keeps_size(self, geometry: Geometry) -> bool:
        _, channels, height, width = self._images.shape
        fits = height <= geometry.image_size[0] and width <= geometry.image_size[1]
        return channels == geometry.channels and (geometry.resize == "center" or (geometry.resize == "pad" and fits))

    def _place(self, geometry: Geometry, out: UInt8) -> None:
        """Put the middle of the images into the middle of the frame."""
        _, _, height, width = self._images.shape
        top, left = geometry.centred(height, width)
        rows, columns = geometry.image_size
        out[:] = 0
        out[:, :, max(top, 0) : top + height, max(left, 0) : left + width] = self._images[
            :, :, max(-top, 0) : rows - top, max(-left, 0) : columns - left
        ]

    def _convert(self, geometry: Geometry, out: UInt8, progress: Progress | None) -> None:
        from neocog.data.decoding import decode, to_picture

        for row, image in enumerate(self._images):
            out[row] = decode(to_picture(image), geometry)
            if progress is not None and (row + 1) % 1000 == 0:
                progress("resizing images", row + 1, len(self))


def array_source(
    name: str,
    classes: tuple[str, ...],
    parts: Mapping[Part, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
) -> Source:
    """A source of arrays: for each part, images uint8 (N, H, W) or (N, C, H, W) and integer labels (N,).

    Raises `DataError` where images and labels of a part do not belong together.
    """
    for part, (images, labels) in parts.items():
        if len(images) != len(labels):
            raise DataError(f"{name}: the {part} part has {len(images)} images, but {len(labels)} labels.")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            raise DataError(
                f"{name}: labels of the {part} part run from {labels.min()} to {labels.max()}; "
                f"{len(classes)} classes are numbered from 0 to {len(classes) - 1}."
            )
    stacked = np.concatenate([images for images, _ in parts.values()])
    if stacked.ndim == 3:
        stacked = stacked[:, None]
    return Source(
        name=name,
        classes=classes,
        labels=np.concatenate([labels.astype(np.int64) for _, labels in parts.values()]),
        parts=np.concatenate([np.full(len(labels), part) for part, (_, labels) in parts.items()]),
        pixels=ArrayPixels(stacked),
    )
