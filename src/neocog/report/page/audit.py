"""An audit as one page, in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from neocog.auditing.findings import KINDS, Finding, Item, Kind, plural
from neocog.auditing.words import counts_table, headline
from neocog.data.decoding import UnreadableImage
from neocog.report.page.frame import page_environment, write_page
from neocog.report.page.pictures import image_uri

if TYPE_CHECKING:
    from neocog.auditing.result import Audit

_SIDE = 160  # pixels of a picture
# About 8 kB each: a page stays below 10 MB however much is found.
_MOST_PICTURES = 600
_MOST_OF_KIND = 24
_MOST_OF_FINDING = 4
_MOST_LINES = 100
_WORDS = {"train": "training", "valid": "validation", "test": "test"}
# Seen for what they are in words alone.
_WITHOUT_PICTURES = {"unreadable", "small-class", "skipped", "imbalance", "mode", "rotated"}


@dataclass(frozen=True)
class Shown:
    """A picture on the page: the image as a data URI, its size there, and what stands under it."""

    uri: str
    width: int
    height: int
    label: str
    part: str
    name: str
    small: bool
    beside: bool


@dataclass(frozen=True)
class Section:
    """The findings of a kind: those with pictures, the others as lines, and how many are not on the page."""

    kind: Kind
    count: int
    pictured: tuple[tuple[Finding, tuple[Shown, ...], int], ...]
    lines: tuple[tuple[str, str], ...]
    more: int


def write_audit(path: Path | str, found: Audit) -> Path:
    """Write the page about an audit to `path`, whole or not at all; gives `path`.

    The file holds everything that it shows: it asks no network for anything and runs no script. Raises `NeocogError`
    where it cannot be written; what stood there then stays.
    """
    heads, rows = counts_table(found)
    return write_page(
        path,
        "audit.html",
        page_environment(),
        found=found,
        headline=headline(found),
        heads=heads,
        rows=rows[:-1],
        sums=rows[-1],
        sections=list(_sections(found)),
        serious=sum(len(found.of_kind(kind.name)) for kind in KINDS if kind.serious),
        plural=plural,
        wide=Markup(' class="wide"'),
    )


def _sections(found: Audit) -> Iterator[Section]:
    left = _MOST_PICTURES
    for kind in KINDS:
        findings = found.of_kind(kind.name)
        if not findings:
            continue
        pictured = []
        if kind.name not in _WITHOUT_PICTURES:
            for finding in findings[:_MOST_OF_KIND]:
                shown = tuple(_pictures(found, finding))
                if len(shown) > left:
                    break
                left -= len(shown)
                pictured.append((finding, shown, max(0, len(finding.items) - _MOST_OF_FINDING)))
        rest = findings[len(pictured) :]
        lines = tuple((_names(finding.items), finding.reason) for finding in rest[:_MOST_LINES])
        yield Section(kind, len(findings), tuple(pictured), lines, len(rest) - len(lines))


def _pictures(found: Audit, finding: Finding) -> Iterator[Shown]:
    for items, beside in ((finding.items, False), (finding.beside, True)):
        for item in items[:_MOST_OF_FINDING]:
            shown = _picture(found, item, beside)
            if shown is not None:
                yield shown


def _picture(found: Audit, item: Item, beside: bool) -> Shown | None:
    try:
        pixels = found.pictures.at(item.row, _SIDE)
    except UnreadableImage:
        # taken away since
        return None
    height, width = pixels.shape[1:]
    small = max(height, width) <= _SIDE // 2
    times = max(1, _SIDE // 2 // max(height, width))
    name = _WORDS[item.part]
    return Shown(image_uri(pixels), width * times, height * times, item.label, name, item.name, small, beside)


def _names(items: Sequence[Item], most: int = 20) -> str:
    shown = ", ".join(item.name for item in items[:most])
    return f"{shown} and {len(items) - most:,} more" if len(items) > most else shown
