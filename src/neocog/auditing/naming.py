"""The images of a source as items of an audit: their names within the folder, their labels and parts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from neocog.auditing.findings import Finding, Item
from neocog.data.file_pixels import FilePixels
from neocog.data.names import printable
from neocog.data.source import Int64, Part, Source

_PARTS: tuple[Part, ...] = ("train", "valid", "test")


def root_of(source: Source, given: Path | str) -> Path | None:
    """The folder that the names of files begin from: the audited one, or that of the CSV file; None without files."""
    if not isinstance(source.pixels, FilePixels):
        return None
    path = Path(given).expanduser()
    return path if path.is_dir() else path.parent


def within(path: Path | str, root: Path | None) -> str:
    """The name of a file as seen from `root`, with slashes; the whole path where it lies elsewhere."""
    if root is None:
        return str(path)
    relative = os.path.relpath(path, root)
    return str(path) if relative.startswith("..") else Path(relative).as_posix()


def items_of(source: Source, rows: Int64, root: Path | None) -> list[Item]:
    """An item for each of `rows`."""
    return [_item(source, int(row), root) for row in rows]


def unreadable(source: Source, bad: Mapping[int, str], root: Path | None) -> Iterator[Finding]:
    """Findings about the rows that cannot be read, and about the files that never became rows."""
    for row, reason in bad.items():
        yield Finding("unreadable", (_item(source, row, root),), reason, 0.0, (), (row,))
    for skipped in source.skipped:
        yield Finding("skipped", (Item(-1, within(skipped.path, root), "", "train"),), skipped.reason)


def class_counts(source: Source, rows: Int64) -> dict[Part, dict[str, int]]:
    """How many of `rows` each class has in each part; parts without images are left out, training is always there."""
    labels, parts = source.labels[rows], source.parts[rows]
    counted = {
        part: np.bincount(labels[parts == part], minlength=len(source.classes)).tolist()
        for part in _PARTS
        if part == "train" or (parts == part).any()
    }
    return {part: dict(zip(source.classes, numbers, strict=True)) for part, numbers in counted.items()}


def _item(source: Source, row: int, root: Path | None) -> Item:
    part: Part = str(source.parts[row])  # type: ignore[assignment]
    name = f"image {row}" if source.files is None else within(source.files[row], root)
    return Item(row, printable(name), source.classes[source.labels[row]], part)
