"""Audit: what was found in a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neocog.auditing.findings import KIND, Finding, KindName
from neocog.auditing.pictures import Pictures
from neocog.data.source import Part


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found in a data set: `findings`, what spoils a figure first.

    `root` is the folder that the names of the items begin from (None for a built-in set), `counts` the number of
    readable images of each class in each part, `summary` sizes and modes in words, `method` how images were compared
    and labels doubted, `accuracy` with its 95 % `interval` that of the model that doubts (None where labels were not
    checked), `notes` what the reading of the data set had to say.
    """

    name: str
    source: str
    root: Path | None
    classes: tuple[str, ...]
    images: int
    counts: dict[Part, dict[str, int]]
    findings: tuple[Finding, ...]
    summary: tuple[tuple[str, str], ...]
    method: tuple[str, ...]
    accuracy: float | None
    interval: tuple[float, float] | None
    notes: tuple[str, ...]
    seconds: float
    pictures: Pictures = field(repr=False)
    paths: Sequence[Path] | None = field(repr=False, default=None)

    @property
    def serious(self) -> bool:
        """Whether anything was found that spoils a figure or is left out of training."""
        return any(KIND[finding.kind].serious for finding in self.findings)

    def of_kind(self, kind: KindName) -> tuple[Finding, ...]:
        """The findings of one kind, the worst first."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def text(self) -> str:
        """The whole of it as text."""
        from neocog.auditing.words import audit_text

        return audit_text(self)

    def figures(self) -> dict[str, Any]:
        """The whole of it as plain values, for JSON."""
        from neocog.auditing.words import audit_figures

        return audit_figures(self)

    def save(self, path: Path | str) -> Path:
        """Write all of it, with pictures, as one HTML page to `path`, whole or not at all; gives `path`."""
        from neocog.report.page.audit import write_audit

        return write_audit(path, self)

    def write_list(self, path: Path | str, *, include_label_errors: bool = False) -> int:
        """Write the images that are better left out to `path`, for `data.skip_list`; gives how many.

        Raises `DataError` for a built-in set, which has no files.
        """
        from neocog.auditing.leaving_out import write_list

        return write_list(path, self, include_label_errors=include_label_errors)
