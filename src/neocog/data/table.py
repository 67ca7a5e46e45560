"""Images listed in a CSV file: path,label and, where wished, split and a column of groups."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from neocog.data.listing import Item, listed_source
from neocog.data.names import normal, printable
from neocog.data.source import Part, Source
from neocog.errors import DataError

_DELIMITERS = ",;\t|"
_PARTS: dict[str, Part] = {
    "": "train", "train": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test",
}  # fmt: skip


def table_source(path: Path, groups: str | None = None) -> Source:
    """The images that the CSV file `path` lists, one a line, under a header.

    Columns `path` (relative to the file, or absolute) and `label` are needed; `split` (train, val, valid,
    validation, test; empty for train) is optional, others are passed over; `groups` names a column, or is a
    pattern on the file name. UTF-8, separated by commas, semicolons, tabs or bars. A file listed twice counts
    once. Raises `DataError`, with the line, for anything else.
    """
    rows = _read(path)
    column = groups.strip().casefold() if groups is not None else None
    if column is not None and not (rows and column in rows[0][1]):
        column = None
    items: dict[Path, tuple[int, Item]] = {}
    repeated = 0
    for line, row in rows:
        item = _item(path, line, row, column)
        if item.path in items:
            earlier_line, earlier = items[item.path]
            if (earlier.label, earlier.part) != (item.label, item.part):
                raise DataError(
                    f"{path}, line {line}: {row['path']} is {item.label} ({item.part}) here and "
                    f"{earlier.label} ({earlier.part}) "
                    f"on line {earlier_line}. Keep one of the two lines."
                )
            repeated += 1
        else:
            items[item.path] = line, item
    if not items:
        raise DataError(
            f"{path} lists no images: under the header, one line an image is expected, such as cats/1.jpg,cat."
        )
    notes = [f"{repeated} lines of {path.name} list a file again; each file counts once."] if repeated else []
    return listed_source(printable(path.stem), [item for _, item in items.values()], notes=notes, groups=groups)


def _read(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells, by name of column in small letters, of every line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.readlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}). Save it as CSV UTF-8.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    header = lines[0][:10_000] if lines else ""
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
    reader = csv.reader(lines[1:], delimiter=delimiter)
    rows = []
    try:
        for cells in reader:
            line = 1 + reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise DataError(f"{path}, line {line}: {len(cells)} values, but the header names {len(names)} columns.")
            rows.append((line, {name: cell.strip() for name, cell in zip(names, cells, strict=True)}))
    except csv.Error as error:
        raise DataError(f"{path}, line {1 + reader.line_num}: {error}.") from error
    return rows


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().casefold() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _item(path: Path, line: int, row: Mapping[str, str], group: str | None) -> Item:
    for name in ("path", "label"):
        if not row[name]:
            raise DataError(f"{path}, line {line}: the {name} is empty.")
    part = _PARTS.get(row.get("split", "").casefold())
    if part is None:
        raise DataError(f"{path}, line {line}: the split is train, val or test; it is {row['split']!r}.")
    if group is not None and not row[group]:
        raise DataError(f"{path}, line {line}: the column {group} is empty; groups needs a value on every line.")
    return Item(path.parent / row["path"], normal(row["label"]), part, None if group is None else row[group])
