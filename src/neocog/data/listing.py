"""Labelled files, and the Source made of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neocog.data.file_pixels import FilePixels
from neocog.data.imageset import Skipped
from neocog.data.names import natural_sort, printable
from neocog.data.source import Part, Source
from neocog.errors import DataError


@dataclass(frozen=True)
class Item:
    """A labelled file. `group` names what it belongs together with, where that is known."""

    path: Path
    label: str
    part: Part
    group: str | None = None


def listed_source(
    name: str,
    items: Sequence[Item],
    *,
    classes: Sequence[str] = (),
    skipped: Sequence[Skipped] = (),
    notes: Sequence[str] = (),
    groups: str | None = None,
) -> Source:
    """The source of `items`: classes (also those of `classes` that have no item) in natural order.

    `groups` is a pattern on the file name for items that bring no group.
    """
    ordered = natural_sort({item.label for item in items} | set(classes))
    number = {label: place for place, label in enumerate(ordered)}
    return Source(
        name=name,
        classes=tuple(ordered),
        labels=np.array([number[item.label] for item in items], np.int64),
        parts=np.array([item.part for item in items], np.str_),
        pixels=FilePixels([item.path for item in items]),
        groups=_groups(items, groups),
        files=tuple(printable(str(item.path)) for item in items),
        skipped=tuple(skipped),
        notes=tuple(notes),
    )


def _groups(items: Sequence[Item], pattern: str | None) -> tuple[str, ...] | None:
    if pattern is None:
        return None
    if items and all(item.group is not None for item in items):
        return tuple(item.group or "" for item in items)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"groups = {pattern!r} is neither a column of the CSV file nor a regular expression: {error}. "
            r"Write for example groups = '^(\d+)_' for names such as 17_front.jpg."
        ) from error
    matches = [expression.search(item.path.name) for item in items]
    if items and not any(matches):
        raise DataError(
            f"groups = {pattern!r} matches none of {len(items)} file names, such as "
            f"{printable(items[0].path.name)}. "
            r"Write for example groups = '^(\d+)_' for names such as 17_front.jpg."
        )
    # a file that does not match is a group of its own
    return tuple(
        "file " + printable(str(item.path)) if match is None else _captured(match)
        for item, match in zip(items, matches, strict=True)
    )


def _captured(match: re.Match[str]) -> str:
    return (match.group(1) or "") if match.re.groups else match.group(0)
