"""A list of images to leave out, as `neocog audit --write-list` writes it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neocog.data.imageset import Skipped
from neocog.data.names import normal, printable
from neocog.data.source import Source
from neocog.errors import DataError

_REASON = "on the skip list"
_DELIMITERS = ",;\t|"
_SHOWN = 3


def read_skip_list(path: Path) -> dict[str, str]:
    """The paths that the file `path` names, as they are written there, each with its reason or "".

    One path a line, or a CSV file with a column `path` and, where wished, `reason`. Empty lines and lines that begin
    with # are passed over. UTF-8. Raises `DataError` where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"cannot read the skip list {path}: {error.strerror or error}.") from error
    if "\0" in text:
        raise DataError(f"the skip list {path} is not UTF-8 text. Save it as UTF-8, or CSV UTF-8.")
    header = next((line for line in text.splitlines() if _counts(line)), "")
    for delimiter in _DELIMITERS:
        names = [name.strip().casefold() for name in next(csv.reader([header], delimiter=delimiter), [])]
        if "path" in names:
            return dict(_table(path, text, delimiter, names))
    # only line ends, and not all that Unicode takes for one: a name may hold the others
    return {line: "" for line in (raw.rstrip("\r") for raw in text.split("\n")) if _counts(line)}


def without_listed(source: Source, folder: Path, path: Path) -> Source:
    """`source` without the files that the list at `path` names; they are reported as skipped, with their reasons.

    Paths count from `folder`, from the current one (as neocog prints them), or are absolute; the form of Unicode
    letters does not matter. What names no file is noted. Raises `DataError` for a source that has no files, and for
    a list of which nothing fits.
    """
    listed = read_skip_list(path)
    if source.files is None:
        raise DataError(
            f"a skip list names files, and {source.name} has none: skip_list goes with a folder or a CSV file."
        )
    # what the folder has, but is not taken for an image, need not be left out again
    found, unused = _matches(listed, folder, source.files, [skipped.path for skipped in source.skipped])
    if listed and len(unused) == len(listed):
        raise DataError(
            f"none of the {len(listed)} paths of the skip list {path}, such as {printable(unused[0])}, names an image "
            f"of {source.name}. They count from {folder}; an image there is called "
            f"{_below(source.files[0], folder) if len(source.files) else 'nothing'}."
        )
    kept = np.setdiff1d(np.arange(len(source)), np.array(list(found), np.int64))
    skipped_now = tuple(
        Skipped(source.files[row], f"{_REASON}: {listed[entry]}" if listed[entry] else _REASON, on_list=True)
        for row, entry in sorted(found.items())
    )
    notes = source.notes
    if unused:
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        names = ", ".join(map(printable, unused[:_SHOWN]))
        notes += (f"{len(unused)} of {len(listed)} paths of the skip list name no image here: {names}{more}.",)
    return replace(source.only(kept), skipped=source.skipped + skipped_now, notes=notes)


def _matches(
    entries: Iterable[str], folder: Path, files: Sequence[str], passed_over: Sequence[str]
) -> tuple[dict[int, str], list[str]]:
    """The entry for each row of `files` that one names, and the entries that name none, nor any of `passed_over`."""
    found: dict[int, str] = {}
    unused = list(entries)
    # Letter by letter first: two names may differ in the form of their Unicode letters alone.
    for form in (printable, normal):
        wanted: dict[str, str] = {}
        for entry in unused:
            for spelling in _spellings(entry):
                for start in (folder, Path.cwd()):
                    wanted.setdefault(_place(form(str(start / spelling))), entry)
        if not wanted:
            break
        used = {wanted.get(_place(form(file))) for file in passed_over}
        for row, file in enumerate(files):
            place = wanted.get(_place(form(file)))
            if place is not None:
                used.add(place)
                found.setdefault(row, place)
        unused = [entry for entry in unused if entry not in used]
    return found, unused


def _place(path: str) -> str:
    # without following links, which are written as they stand
    return os.path.abspath(path)  # noqa: PTH100


def _spellings(entry: str) -> Iterator[str]:
    """`entry`, without blanks around it, and without quotation marks around it."""
    yield entry
    bare = entry.strip()
    yield bare
    if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'":
        yield bare[1:-1]


def _table(path: Path, text: str, delimiter: str, names: list[str]) -> Iterator[tuple[str, str]]:
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter)
    place, reason = names.index("path"), names.index("reason") if "reason" in names else None
    try:
        next(reader)
        for cells in reader:
            lines.begins = True
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise DataError(
                    f"{path}, line {lines.number}: {len(cells)} values, but the header names {len(names)} columns. "
                    "A path with a comma or a quotation mark stands in quotation marks."
                )
            if cells[place]:
                yield cells[place], "" if reason is None else cells[reason].strip()
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.number}: {error}.") from error


class _Lines:
    """The lines of a text without comments; a line within quotation marks is none."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.number, self.begins = 0, True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number += 1
            if not self.begins or _counts(line):
                self.begins = False
                return line
        raise StopIteration


def _counts(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _below(file: str, folder: Path) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file
