"""Images to be augmented for the eye or for the disk: from a file, a folder, a list or a data set, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neocog.data import Geometry, image_files
from neocog.data.decoding import image_suffixes
from neocog.data.file_pixels import FilePixels
from neocog.data.loading import find_source
from neocog.data.names import printable
from neocog.data.registry import find, unknown
from neocog.data.source import Int64, Source, UInt8
from neocog.errors import DataError
from neocog.settings import DataSettings

MOST_PIXELS = 512  # of the longer side, where no size is given
_TABLES = (".csv", ".tsv", ".txt")
_TRIED = 50


@dataclass(frozen=True)
class Original:
    """An image, uint8 (C, H, W), the row it has in its source, and its label; an empty one where there is none."""

    pixels: UInt8
    row: int
    label: str


def find_originals(name: str) -> Source:
    """Give the images that `name` means: a data set, a folder with or without class folders, a list, or one file.

    Images without a label have the only class "". Raises `DataError` where there are none.
    """
    path = Path(name).expanduser()
    if find(name) is not None or (path.is_file() and path.suffix.lower() in _TABLES):
        return find_source(name, to_train=False)
    if path.is_dir():
        try:
            return find_source(name, to_train=False)
        except DataError:
            # a folder of loose pictures is none to train on, but has something to show
            if not any(item.is_file() and item.suffix.lower() in image_suffixes() for item in path.iterdir()):
                raise
        return _unlabelled(path.resolve().name, list(image_files([str(path)])))
    if path.exists():
        return _unlabelled(path.stem, [path])
    if path.suffix.lower() in image_suffixes():
        raise DataError(f"there is no image {name}. Mind the spelling, and the folder from which the path begins.")
    raise unknown(name)


def read(source: Source, row: int, settings: DataSettings) -> Original:
    """Read the image in a row: in the size and channels of `settings`, else its own, but 512 pixels at most.

    Raises `DataError` for a file that cannot be read.
    """
    pixels = source.pixels.only(np.array([row], np.int64))
    geometry = _geometry(*_native(source, row, settings), settings)
    image = np.empty((1, *geometry.shape), np.uint8)
    pixels.read(geometry, image, None)
    return Original(image[0], row, source.classes[source.labels[row]])


def first_images(source: Source, count: int, settings: DataSettings) -> list[Original]:
    """Give up to `count` images in the size of the first one, of as many classes as there are; broken ones are passed
    over. Raises `DataError` where none of the first ones can be read."""
    found = list[Original]()
    problem: DataError | None = None
    for row in _in_turn(source, training_rows(source))[: count + _TRIED].tolist():
        try:
            found.append(read(source, row, settings))
        except DataError as error:
            problem = problem or error
            continue
        if len(found) == 1:
            channels, height, width = found[0].pixels.shape
            settings = settings.model_copy(update={"image_size": (height, width), "channels": channels})
        if len(found) == count:
            break
    if not found:
        raise problem or DataError(f"{source.name} has no images.")
    return found


def training_rows(source: Source) -> Int64:
    """The rows of the training images, or of all images where there are none."""
    rows = np.flatnonzero(source.parts == "train")
    return rows if len(rows) else np.arange(len(source))


def _in_turn(source: Source, rows: Int64) -> Int64:
    """Order rows so that the first ones have different classes, each class in its own order."""
    turn = np.empty(len(rows), np.int64)
    for label in np.unique(source.labels[rows]):
        own = source.labels[rows] == label
        turn[own] = np.arange(own.sum())
    return rows[np.lexsort((source.labels[rows], turn))]


def _native(source: Source, row: int, settings: DataSettings) -> tuple[tuple[int, int] | None, int]:
    if settings.image_size is not None and settings.channels is not None:
        return settings.image_size, settings.channels
    native = source.pixels.only(np.array([row], np.int64)).native(None)
    return native.image_size, native.channels


def _geometry(size: tuple[int, int] | None, channels: int, settings: DataSettings) -> Geometry:
    channels = settings.channels or channels
    if settings.image_size is not None or size is None:
        return Geometry(settings.image_size or (MOST_PIXELS, MOST_PIXELS), channels, settings.resize)
    scale = min(1.0, MOST_PIXELS / max(size))
    height, width = (max(1, round(side * scale)) for side in size)
    return Geometry((height, width), channels, "squash")


def _unlabelled(name: str, paths: Sequence[Path]) -> Source:
    count, files = len(paths), tuple(printable(str(path)) for path in paths)
    return Source(name, ("",), np.zeros(count, np.int64), np.full(count, "train"), FilePixels(paths), files=files)
