"""Fonts that draw text in any language and script as letters, never as boxes.

A picture's texts are drawn with a chain of fonts; each character takes the first font that has it:

1. DejaVu Sans, which comes with Matplotlib
2. NanumGothic (Korean, Japanese, many Chinese characters), from the files of the package koreanize-matplotlib
3. fonts of the system, only for what is still missing
4. GNU Unifont, which comes with neocog and has a plain glyph for nearly all of Unicode

Fonts of the chain are made known to Matplotlib's font manager; no setting of Matplotlib is changed.
"""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FaceFlags, FT2Font

# Put behind a name, it keeps what follows in its place where the name is written from right to left.
LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
_UNDRAWABLE = "\N{REPLACEMENT CHARACTER}"
_UNIFONT = ("unifont.otf", "unifont_upper.otf")


@dataclass(frozen=True)
class Lettering:
    """The fonts for a picture's texts: `families` in the order of choice, and the characters they can
    draw."""

    families: tuple[str, ...]
    characters: frozenset[str]

    def drawable(self, text: str) -> str:
        """`text` on one line, NFC-normalised, without what has no glyph.

        Invisible characters that no font knows are dropped; any other becomes the replacement character.
        """
        letters = "".join(c if c in self.characters else _substitute(c) for c in _one_line(text))
        return letters.strip()


def lettering(texts: Iterable[str]) -> Lettering:
    """Choose the fonts for `texts`: as few as draw every character that any font at hand has."""
    wanted = {character for text in texts for character in _one_line(text)}
    wanted |= {chr(code) for code in range(0x20, 0x7F)} | {_UNDRAWABLE, LEFT_TO_RIGHT, "…", "\N{MINUS SIGN}"}
    families: list[str] = []
    drawn: set[str] = set()
    for stage in (_shipped_first, _of_the_system, _last_resort):
        for path in stage(wanted - drawn):
            found = (wanted - drawn) & _characters(path)
            if found:
                families.append(_family(path))
                drawn |= found
    return Lettering(tuple(families), frozenset(drawn))


def shorten(text: str, columns: int) -> str:
    """Cut `text` to at most `columns` columns (a wide East Asian character takes two), ending in "…" where
    cut."""
    text = _one_line(text)
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += width(character)
        if used > columns - 1:
            break
        kept += character
    return kept.rstrip() + "…"


def width(text: str) -> int:
    """The columns that `text` takes: two a wide East Asian character or emoji, none a combining mark."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if _is(character, "Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _one_line(text: str) -> str:
    """`text` in NFC with single spaces, without control characters, which some fonts draw as boxes.

    A byte of a file name that is no UTF-8 (Python keeps it as a lone surrogate) becomes the replacement character.
    """
    words = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(_UNDRAWABLE if _is(c, "Cs") else c for c in words if not _is(c, "Cc"))


def _is(character: str, *categories: str) -> bool:
    return unicodedata.category(character) in categories


def _substitute(character: str) -> str:
    invisible = _is(character, "Cf") or "\ufe00" <= character <= "\ufe0f"
    return "" if invisible else _UNDRAWABLE


def _shipped_first(missing: set[str]) -> list[Path]:
    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    nanum = _nanum_gothic()
    return [dejavu] if nanum is None else [dejavu, nanum]


def _nanum_gothic() -> Path | None:
    # Importing the package would change Matplotlib's settings; its files are all that is wanted.
    spec = importlib.util.find_spec("koreanize_matplotlib")
    folders = spec.submodule_search_locations if spec is not None else None
    paths = [Path(folder) / "fonts" / "NanumGothic.ttf" for folder in folders or ()]
    return next((path for path in paths if path.is_file()), None)


def _of_the_system(missing: set[str]) -> list[Path]:
    """The fewest fonts of the system that add something, those that add most first."""
    if not missing:
        return []
    coverage = {path: missing & _characters(path) for path in _system_fonts()}
    chosen: list[Path] = []
    while missing:
        best = max(coverage, key=lambda path: len(coverage[path] & missing), default=None)
        if best is None or not coverage[best] & missing:
            break
        chosen.append(best)
        missing = missing - coverage[best]
    return chosen


@functools.cache
def _system_fonts() -> tuple[Path, ...]:
    upright = (
        Path(entry.fname)
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal", "regular") and entry.stretch == "normal"
    )
    ours = {_unifont_folder(), Path(matplotlib.get_data_path()) / "fonts" / "ttf"}
    return tuple(sorted({path for path in upright if path.parent not in ours}))


def _last_resort(missing: set[str]) -> list[Path]:
    return [_unifont_folder() / name for name in _UNIFONT] if missing else []


def _unifont_folder() -> Path:
    return Path(__file__).with_name("fonts")


@functools.cache
def _characters(path: Path) -> frozenset[str]:
    """What the font at `path` can draw; nothing for a font of fixed bitmaps or one that cannot be read."""
    try:
        font = FT2Font(str(path))
    except (OSError, RuntimeError):
        return frozenset()
    if not font.face_flags & FaceFlags.SCALABLE:
        return frozenset()
    return frozenset(chr(code) for code in font.get_charmap())


def _family(path: Path) -> str:
    manager = font_manager.fontManager
    if not any(Path(entry.fname) == path for entry in manager.ttflist):
        manager.addfont(str(path))
    return str(FT2Font(str(path)).family_name)
