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
from neocog.data.geometry import Geometry
from neocog.data.source import Int64, Native, Progress, UInt8
from neocog.errors import DataError

Result = TypeVar("Result")
_CHUNK = 256


class FilePixels:
    """Image files in a fixed order."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def native(self, progress: Progress | None) -> Native:
        """What the headers say; files that cannot be read have no say. `DataError` where none can."""
        with _without_warnings():
            headers = list(self._each(probe, "looking at images", progress))
        found = [header for header in headers if not isinstance(header, UnreadableImage)]
        if not found:
            raise self._nothing()
        sizes = {size for size, _ in found}
        return Native(sizes.pop() if len(sizes) == 1 else None, max(channels for _, channels in found))

    def read(self, geometry: Geometry, out: UInt8, progress: Progress | None) -> tuple[Int64, Mapping[int, str]]:
        """Decode into `out`, in order, whatever the number of threads."""
        kept: list[int] = []
        bad: dict[int, str] = {}
        with _without_warnings():
            decoded = self._each(lambda path: decode(path, geometry), "decoding images", progress)
            for row, image in enumerate(decoded):
                if isinstance(image, UnreadableImage):
                    bad[row] = image.reason
                else:
                    out[len(kept)] = image
                    kept.append(row)
        if not kept:
            raise self._nothing()
        return np.array(kept, np.int64), bad

    def only(self, rows: Int64) -> FilePixels:
        """The files at `rows`."""
        return FilePixels([self.paths[row] for row in rows])

    def _each(
        self, job: Callable[[Path], Result], what: str, progress: Progress | None
    ) -> Iterator[Result | UnreadableImage]:
        def attempt(path: Path) -> Result | UnreadableImage:
            try:
                return job(path)
            except UnreadableImage as error:
                return error

        # A chunk at a time, so that the results waiting for their turn never fill the memory.
        with ThreadPoolExecutor(_processors()) as pool:
            for start in range(0, len(self.paths), _CHUNK):
                chunk = self.paths[start : start + _CHUNK]
                yield from pool.map(attempt, chunk)
                if progress is not None:
                    progress(what, start + len(chunk), len(self.paths))

    def _nothing(self) -> DataError:
        example = ""
        if self.paths:
            try:
                probe(self.paths[0])
            except UnreadableImage as error:
                example = f" The first one: {error}"
        return DataError(f"none of {len(self.paths)} files is an image that can be read.{example}")


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without Pillow's lines about odd metadata, one for each photograph: what matters is told by `Skipped`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _processors() -> int:
    # a container or a batch queue often allows fewer than the machine has
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
