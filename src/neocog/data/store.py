"""Decoded images that do not fit into memory: a file on disk, mapped into memory, built once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neocog.data.download import data_folder
from neocog.data.geometry import Geometry
from neocog.data.source import Int64, Pixels, Progress, UInt8
from neocog.data.twins import twins
from neocog.errors import DataError
from neocog.files import whole_file, write_error, write_whole

_VERSION = 2
_CHUNK = 256


@dataclass(frozen=True)
class Stored:
    """Readable rows, reasons for the others, and the images (N, C, H, W) in the order that was asked for.

    `twins` are the groups of readable images (places in `kept`) whose pixels are the same.
    """

    kept: Int64
    bad: Mapping[int, str]
    twins: list[list[int]]
    images: torch.Tensor


Order = Callable[[Int64, Mapping[int, str], list[list[int]]], Int64]


def stored_images(
    paths: Sequence[Path], pixels: Pixels, geometry: Geometry, order: Order, progress: Progress | None
) -> Stored:
    """The images `pixels` of the files `paths`, on disk, decoded now or earlier.

    `order(kept, bad, twins)` says, once the readable rows are known, which of them (places in `kept`) are stored and
    in which order. The file is used again as long as the paths, sizes and times of the files, the geometry
    and the order are the same; otherwise it is built anew, whole or not at all. Raises `NeocogError` where
    there is no room.
    """
    folder = data_folder() / "decoded"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    content = _content(paths, geometry)
    place = hashlib.sha256(f"{geometry}\n{_common(paths)}".encode("utf-8", "surrogateescape")).hexdigest()[:20]
    record = folder / f"{place}.json"

    known = _read_record(record)
    if known.get("content") == content:
        kept, bad = _kept(len(paths), known["bad"])
        rows = order(kept, bad, known["twins"])
        data = _data_file(folder, place, content, rows)
        if data.is_file() and data.stat().st_size == len(rows) * geometry.image_bytes:
            return Stored(kept, bad, known["twins"], _map(data, len(rows), geometry))

    with _scratch(folder, (len(paths), *geometry.shape)) as images:
        kept, bad = pixels.read(geometry, images, progress)
        same = twins(images[: len(kept)])
        rows = order(kept, bad, same)
        data = _data_file(folder, place, content, rows)
        with whole_file(data) as temporary, temporary.open("wb") as file:
            for start in range(0, len(rows), _CHUNK):
                file.write(images[rows[start : start + _CHUNK]].tobytes())
    reasons = {str(row): reason for row, reason in bad.items()}
    write_whole(record, json.dumps({"content": content, "bad": reasons, "twins": same}))
    mapped = _map(data, len(rows), geometry)
    for older in folder.glob(f"{place}-*.uint8"):
        if older != data:
            # Windows keeps a file that another process has mapped; the next build tries again
            with contextlib.suppress(OSError):
                older.unlink()
    return Stored(kept, bad, same, mapped)


def _data_file(folder: Path, place: str, content: str, rows: Int64) -> Path:
    # The name says all that the file depends on, so that two processes with different splits never mix.
    key = hashlib.sha256(content.encode() + np.ascontiguousarray(rows, np.int64).tobytes()).hexdigest()
    return folder / f"{place}-{key[:20]}.uint8"


def _map(path: Path, count: int, geometry: Geometry) -> torch.Tensor:
    flat = torch.from_file(str(path), shared=False, size=count * geometry.image_bytes, dtype=torch.uint8)
    return flat.view(count, *geometry.shape)


@contextlib.contextmanager
def _scratch(folder: Path, shape: tuple[int, ...]) -> Iterator[UInt8]:
    """A uint8 array on disk that is gone afterwards, however the process ends."""
    size = int(np.prod(shape, dtype=np.int64))
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # Room is taken at once: a mapped file that finds the disk full later would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            images: UInt8 = np.memmap(file, np.uint8, "w+", shape=shape)
            yield images
    except OSError as error:
        raise DataError(
            f"cannot keep {size / 1e6:,.0f} MB of decoded images in {folder}: {error.strerror or error}. "
            "Free some space, name another folder by NEOCOG_DATA, or choose a smaller image_size."
        ) from error


def _content(paths: Sequence[Path], geometry: Geometry) -> str:
    digest = hashlib.sha256(f"{_VERSION}\n{geometry}\n".encode())
    for path in paths:
        try:
            status = path.stat()
            told = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            told = "missing"
        digest.update(f"{path.absolute()}\0{told}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _common(paths: Sequence[Path]) -> str:
    try:
        return os.path.commonpath({path.absolute().parent for path in paths})
    except ValueError:  # several drives
        return str(paths[0].absolute())


def _kept(count: int, bad: Mapping[str, str]) -> tuple[Int64, Mapping[int, str]]:
    reasons = {int(row): reason for row, reason in bad.items()}
    return np.array([row for row in range(count) if row not in reasons], np.int64), reasons


def _read_record(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
