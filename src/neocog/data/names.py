"""Names of classes, files and folders: their order, their normal form, and those to pass over."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

_NUMBER = re.compile(r"([0-9]+)")
_JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "icon\r"})


def natural_key(name: str) -> tuple[object, ...]:
    """A key to sort by: img2 before img10; capitals decide only between names that are otherwise the same."""
    parts = _NUMBER.split(name.casefold())
    # Odd places are runs of digits. Their length comes first, so that no run is too long to be compared.
    numbers = [(len(part.lstrip("0")), part.lstrip("0")) if place % 2 else part for place, part in enumerate(parts)]
    return tuple(numbers), name


def natural_sort(names: Iterable[str]) -> list[str]:
    """`names` in natural order."""
    return sorted(names, key=natural_key)


def normal(name: str) -> str:
    """`name` in Unicode's form NFC, as class names are kept: macOS hands out file names in another form.

    Bytes of a file name that are not UTF-8 become U+FFFD, so that the name can be printed and stored.
    """
    return unicodedata.normalize("NFC", printable(name))


def printable(name: str) -> str:
    """`name` with bytes that are not UTF-8 replaced by U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, or left behind by an operating system."""
    return path.name.startswith(".") or path.name.casefold() in _JUNK
