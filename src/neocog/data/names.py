"""Names of classes, files and folders: their order, their normal form, and those to pass over."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_NUMBER = re.compile(r"([0-9]+)")
_JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "icon\r"})


def natural_key(name: str) -> tuple[str, str]:
    """A key to sort by: img2 before img10; capitals decide only between names that are otherwise the same."""
    return _by_numbers(name), name


def natural_sort(names: Iterable[str]) -> list[str]:
    """`names` in natural order."""
    # Two sorts, so that the keys of a million names take half the memory.
    ordered = sorted(names)
    ordered.sort(key=_by_numbers)
    return ordered


def _by_numbers(name: str) -> str:
    """`name` as text whose plain order is the natural one: before each run of digits stands how long it is."""
    parts = _NUMBER.split(name.casefold())
    if len(parts) == 1:
        return parts[0]
    for place in range(1, len(parts), 2):
        digits = parts[place].lstrip("0")
        # The zero ends the text before it. Two characters hold any length, and are never surrogates.
        parts[place] = f"\0{chr(len(digits) >> 15)}{chr(len(digits) & 0x7FFF)}{digits}"
    return "".join(parts)


def normal(name: str) -> str:
    """`name` in Unicode's form NFC, as class names are kept: macOS hands out file names in another form.

    Bytes of a file name that are not UTF-8 become U+FFFD, so that the name can be printed and stored.
    """
    return unicodedata.normalize("NFC", printable(name))


def printable(name: str) -> str:
    """`name` with bytes that are not UTF-8 replaced by U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_hidden(name: str) -> bool:
    """Whether the name of a file or folder is that of a hidden one, or of what an operating system leaves behind."""
    return name.startswith(".") or name.casefold() in _JUNK
