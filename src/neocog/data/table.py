"""Images listed in a CSV file: path,label and, where wished, split and a column of groups."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neocog.data.listing import Listing
from neocog.data.names import normal, printable
from neocog.data.source import Int64, Part, Source
from neocog.errors import DataError

_DELIMITERS = ",;\t|"
_PARTS: dict[str, Part] = {
    "": "train", "train": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test",
}  # fmt: skip


class _Row(NamedTuple):
    """A line of the file; `path` as it is written there."""

    line: int
    path: str
    label: str
    part: Part
    group: str | None


def table_source(path: Path, groups: str | None = None) -> Source:
    """The images that the CSV file `path` lists, one a line, under a header.

    Columns `path` (relative to the file, or absolute) and `label` are needed; `split` (train, val, valid,
    validation, test; empty for train) is optional, others are passed over; `groups` names a column, or is a
    pattern on the file name. UTF-8, separated by commas, semicolons, tabs or bars. A file listed twice counts
    once. Raises `DataError`, with the line, for anything else.
    """
    files, lines = Listing(), array("q")
    for row in _rows(path, groups):
        files.add(path.parent / row.path, row.label, row.part, row.group)
        lines.append(row.line)
    if not len(files):
        raise DataError(
            f"{path} lists no images: under the header, one line an image is expected, such as cats/1.jpg,cat."
        )
    once = _without_repeated(path, files, lines)
    repeated = len(files) - len(once)
    notes = [f"{repeated} lines of {path.name} list a file again; each file counts once."] if repeated else []
    source = files.source(printable(path.stem), notes=notes, groups=groups)
    return source.only(once) if repeated else source


def _without_repeated(path: Path, files: Listing, lines: array[int]) -> Int64:
    """The rows of `files` whose file does not stand in an earlier row; the same must stand there."""
    # Hashes take a fifth of the memory of the paths; what shares one is looked at.
    hashes = np.fromiter((hash(file) for file in files.paths), np.int64, len(files))
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    keep = np.ones(len(files), bool)
    first: dict[Path, int] = {}
    for row in sorted({*order[again].tolist(), *order[again + 1].tolist()}):
        file = files.paths[row]
        earlier = first.setdefault(file, row)
        if earlier == row:
            continue
        (label, part), (label_there, part_there) = files.place(row), files.place(earlier)
        if (label, part) != (label_there, part_there):
            raise DataError(
                f"{path}, line {lines[row]}: {_as_written(path, file)} is {label} ({part}) here and {label_there} "
                f"({part_there}) on line {lines[earlier]}. Keep one of the two lines."
            )
        keep[row] = False
    return np.flatnonzero(keep)


def _as_written(path: Path, file: Path) -> str:
    inside = file.relative_to(path.parent) if file.is_relative_to(path.parent) else file
    return printable(str(inside))


def _rows(path: Path, groups: str | None) -> Iterator[_Row]:
    """Every line that is not empty, checked; a line at a time, so that a long file takes no memory."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter, names = _header(path, header[:10_000])
            column = groups.strip().casefold() if groups is not None and groups.strip().casefold() in names else None
            reader = csv.reader(file, delimiter=delimiter)
            try:
                for cells in reader:
                    line = 1 + reader.line_num
                    if not any(cell.strip() for cell in cells):
                        continue
                    if len(cells) != len(names):
                        raise DataError(
                            f"{path}, line {line}: {len(cells)} values, but the header names {len(names)} columns."
                        )
                    values = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
                    yield _row(path, line, values, column)
            except csv.Error as error:
                raise DataError(f"{path}, line {1 + reader.line_num}: {error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {_first_wrong(path)}). Save it as CSV UTF-8.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def _first_wrong(path: Path) -> int:
    """Where the first byte stands that is not UTF-8; the error of a reader counts from its last piece."""
    try:
        path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _header(path: Path, header: str) -> tuple[str, list[str]]:
    """The delimiter, and the names of the columns in small letters."""
    delimiter = next((mark for mark in _DELIMITERS if {"path", "label"} <= set(_cells(header, mark))), None)
    if delimiter is None:
        raise DataError(
            f"{path} should begin with a header that names the columns path and label, such as "
            "path,label,split; "
            f"its first line is {header.strip()[:80]!r}."
        )
    names = _cells(header, delimiter)
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise DataError(f"{path}: the header names {', '.join(doubled)} more than once. Rename one of the columns.")
    return delimiter, names


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().casefold() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _row(path: Path, line: int, values: Mapping[str, str], group: str | None) -> _Row:
    for name in ("path", "label"):
        if not values[name]:
            raise DataError(f"{path}, line {line}: the {name} is empty.")
    part = _PARTS.get(values.get("split", "").casefold())
    if part is None:
        raise DataError(f"{path}, line {line}: the split is train, val or test; it is {values['split']!r}.")
    if group is not None and not values[group]:
        raise DataError(f"{path}, line {line}: the column {group} is empty; groups needs a value on every line.")
    return _Row(line, values["path"], normal(values["label"]), part, None if group is None else values[group])
