"""All images of a source looked at, in any number, with little kept of each."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from neocog.auditing.inspecting import SIDE, Look, look_at, look_at_array
from neocog.data.decoding import UnreadableImage
from neocog.data.file_pixels import FilePixels
from neocog.data.geometry import Geometry
from neocog.data.source import Int64, Progress, Source, UInt8

_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Collected:
    """What was seen: `rows` of the source that can be read, a look at each, thumbnails uint8 (N, SIDE, SIDE).

    `bad` has the reason for each row that cannot be read.
    """

    rows: Int64
    looks: tuple[Look, ...]
    thumbnails: UInt8
    bad: dict[int, str]


def collect(source: Source, progress: Progress | None = None) -> Collected:
    """Look at every image of `source`, by several threads; about 2 kB are kept of each."""
    thumbnails = np.empty((len(source), SIDE, SIDE), np.uint8)
    rows, looks, bad = list[int](), list[Look](), dict[int, str]()
    for row, found in enumerate(_looks(source, progress)):
        if isinstance(found, str):
            bad[row] = found
            continue
        look, thumbnails[len(rows)] = found
        rows.append(row)
        looks.append(look)
    return Collected(np.array(rows, np.int64), tuple(looks), thumbnails[: len(rows)], bad)


def _looks(source: Source, progress: Progress | None) -> Iterator[tuple[Look, UInt8] | str]:
    pixels = source.pixels
    if isinstance(pixels, FilePixels):
        paths = pixels.paths

        def file_at(row: int) -> tuple[Look, UInt8] | str:
            try:
                return look_at(paths[row])
            except UnreadableImage as error:
                return sys.intern(error.reason)

        yield from _in_chunks(len(paths), file_at, progress)
    else:
        images = _arrays(source)
        yield from _in_chunks(len(images), lambda row: look_at_array(images[row]), progress)


def _arrays(source: Source) -> UInt8:
    native = source.pixels.native(None)
    if native.image_size is None:
        raise AssertionError("images in memory share one size")
    geometry = Geometry(native.image_size, 1 if native.channels == 1 else 3)
    images = np.empty((len(source), *geometry.shape), np.uint8)
    source.pixels.read(geometry, images, None)
    return images


def _in_chunks(
    count: int,
    job: Callable[[int], tuple[Look, UInt8] | str],
    progress: Progress | None,
) -> Iterator[tuple[Look, UInt8] | str]:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with warnings.catch_warnings(), ThreadPoolExecutor(processors) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        # A chunk at a time, so that what waits for its turn never fills the memory.
        for start in range(0, count, _CHUNK):
            chunk = range(start, min(start + _CHUNK, count))
            yield from pool.map(job, chunk)
            if progress is not None:
                progress("looking at images", chunk[-1] + 1, count)
