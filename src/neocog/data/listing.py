"""Labelled files as they are found, and the Source made of them."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from neocog.data.file_names import FilePaths
from neocog.data.file_pixels import FilePixels
from neocog.data.imageset import Skipped
from neocog.data.names import natural_sort, printable
from neocog.data.source import Part, Source
from neocog.errors import DataError

_PARTS: tuple[Part, ...] = get_args(Part)


class Listing:
    """Labelled files, in the order in which they are added. A million of them take some ten megabytes."""

    def __init__(self) -> None:
        self.paths = FilePaths()
        self._numbers: dict[str, int] = {}
        self._labels, self._parts = array("i"), array("b")
        self._groups: list[str | None] = []

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, path: Path, label: str, part: Part, group: str | None = None) -> None:
        """Add a file. `group` names what it belongs together with, where that is known, for every file or for none."""
        self.paths.append(path)
        self._labels.append(self._numbers.setdefault(label, len(self._numbers)))
        self._parts.append(_PARTS.index(part))
        if group is not None:
            self._groups.append(group)

    def place(self, row: int) -> tuple[str, Part]:
        """The label and the part of a file."""
        return list(self._numbers)[self._labels[row]], _PARTS[self._parts[row]]

    def source(
        self,
        name: str,
        *,
        classes: Sequence[str] = (),
        skipped: Sequence[Skipped] = (),
        notes: Sequence[str] = (),
        groups: str | None = None,
    ) -> Source:
        """The source of these files: classes (also those of `classes` that have no file) in natural order.

        `groups` is a pattern on the file name for files that bring no group.
        """
        ordered = natural_sort({*self._numbers, *classes})
        place = {label: number for number, label in enumerate(ordered)}
        renumber = np.array([place[label] for label in self._numbers], np.int64)
        return Source(
            name=name,
            classes=tuple(ordered),
            labels=renumber[np.array(self._labels, np.int64)],
            parts=np.array(_PARTS, np.str_)[np.array(self._parts, np.int64)],
            pixels=FilePixels(self.paths),
            groups=self._grouped(groups),
            files=self.paths.names(),
            skipped=tuple(skipped),
            notes=tuple(notes),
        )

    def _grouped(self, pattern: str | None) -> tuple[str, ...] | None:
        if pattern is None:
            return None
        if len(self) and len(self._groups) == len(self):
            return tuple(group or "" for group in self._groups)
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise DataError(
                f"groups = {pattern!r} is neither a column of the CSV file nor a regular expression: {error}. "
                r"Write for example groups = '^(\d+)_' for names such as 17_front.jpg."
            ) from error
        matches = [expression.search(path.name) for path in self.paths]
        if matches and not any(matches):
            raise DataError(
                f"groups = {pattern!r} matches none of {len(self)} file names, such as "
                f"{printable(self.paths[0].name)}. "
                r"Write for example groups = '^(\d+)_' for names such as 17_front.jpg."
            )
        # a file that does not match is a group of its own
        return tuple(
            "file " + printable(str(path)) if match is None else _captured(match)
            for path, match in zip(self.paths, matches, strict=True)
        )


def _captured(match: re.Match[str]) -> str:
    return (match.group(1) or "") if match.re.groups else match.group(0)
