"""The pixels of image files, decoded by several threads."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from neocog.data.decoding import UnreadableImage, decode, probe
from neocog.data.file_names import FilePaths
from neocog.data.geometry import Geometry
from neocog.data.source import Int64, Native, Progress, UInt8
from neocog.errors import DataError

Result = TypeVar("Result")
# files whose results may wait for their turn, and files between two calls of `progress`
_CHUNK = 256
_STEP = 32


class FilePixels:
    """Image files in a fixed order."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = FilePaths.of(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def native(self, progress: Progress | None) -> Native:
        """What the headers say; files that cannot be read have no say. `DataError` where none can."""
        # Two sizes are enough to know that they differ.
        sizes: set[tuple[int, int]] = set()
        channels = 0
        with _without_warnings():
            for header in self._each(lambda row: probe(self.paths[row]), "looking at images", progress):
                if not isinstance(header, UnreadableImage):
                    sizes |= {header[0]} if len(sizes) < 2 else set()
                    channels = max(channels, header[1])
        if not sizes:
            raise self._nothing()
        return Native(sizes.pop() if len(sizes) == 1 else None, channels)

    def read(self, geometry: Geometry, out: UInt8, progress: Progress | None) -> tuple[Int64, Mapping[int, str]]:
        """Decode into `out`, in order, whatever the number of threads."""

        def fill(row: int) -> None:
            out[row] = decode(self.paths[row], geometry)

        bad: dict[int, str] = {}
        with _without_warnings():
            for row, done in enumerate(self._each(fill, "decoding images", progress)):
                if isinstance(done, UnreadableImage):
                    bad[row] = done.reason
        if len(bad) == len(self):
            raise self._nothing()
        good = np.ones(len(self), bool)
        good[list(bad)] = False
        kept = np.flatnonzero(good)
        _close_gaps(out, kept)
        return kept, bad

    def only(self, rows: Int64) -> FilePixels:
        """The files at `rows`."""
        return FilePixels(self.paths.only(rows))

    def _each(
        self, job: Callable[[int], Result], what: str, progress: Progress | None
    ) -> Iterator[Result | UnreadableImage]:
        """What `job` gives for each row, in order, or why it could not."""

        def attempt(row: int) -> Result | UnreadableImage:
            try:
                return job(row)
            except UnreadableImage as error:
                return error

        count = len(self)
        # A chunk at a time, so that the results waiting for their turn never fill the memory.
        with ThreadPoolExecutor(_processors()) as pool:
            for start in range(0, count, _CHUNK):
                chunk = range(start, min(start + _CHUNK, count))
                for done, result in enumerate(pool.map(attempt, chunk), start + 1):
                    yield result
                    if progress is not None and (done % _STEP == 0 or done == count):
                        progress(what, done, count)

    def _nothing(self) -> DataError:
        example = ""
        if self.paths:
            try:
                probe(self.paths[0])
            except UnreadableImage as error:
                example = f" The first one: {error}"
        return DataError(f"none of {len(self.paths)} files is an image that can be read.{example}")


def _close_gaps(out: UInt8, kept: Int64) -> None:
    """Move the rows `kept`, which ascend, to the beginning of `out`."""
    for place in np.flatnonzero(kept != np.arange(len(kept))):
        out[place] = out[kept[place]]


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without Pillow's lines about odd metadata, one for each photograph: what matters is told by `Skipped`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _processors() -> int:
    # a container or a batch queue often allows fewer than the machine has
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
