"""An audit in words, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neocog.auditing.findings import KINDS, Finding, Kind, plural
from neocog.printing import table

if TYPE_CHECKING:
    from neocog.auditing.result import Audit

_SHOWN = 5
_NAMES = 3
_WORDS = {"train": "training", "valid": "validation", "test": "test"}


def audit_text(found: Audit) -> str:
    """An audit as text: what there is, what was found, and how it was looked for."""
    blocks = [headline(found), table(*counts_table(found), right=counts_table(found)[0][1:])]
    blocks.append("\n".join(f"{what}: {told}" for what, told in found.summary))
    blocks += [_kind_text(kind, found.of_kind(kind.name)) for kind in KINDS if found.of_kind(kind.name)]
    if not found.findings:
        blocks.append("Nothing was found that is odd.")
    blocks.append("\n".join([*found.method, *(f"note: {note}" for note in found.notes)]))
    return "\n\n".join(filter(None, blocks))


def headline(found: Audit) -> str:
    """One sentence: how much there is, and how much was found."""
    serious = sum(1 for kind in KINDS if kind.serious for _ in found.of_kind(kind.name))
    what = f"{found.name}: {plural(found.images, 'image')} of {plural(len(found.classes), 'class', 'classes')}; "
    return what + (
        f"{plural(serious, 'serious finding')} of {len(found.findings):,}."
        if serious
        else f"{plural(len(found.findings), 'finding')}, none of them serious."
    )


def counts_table(found: Audit) -> tuple[list[str], list[list[str]]]:
    """The number of images of each class in each part: heads and rows, the sums last."""
    parts = list(found.counts)
    heads = ["class", *(_WORDS[part] for part in parts)]
    rows = [[name, *(f"{found.counts[part][name]:,}" for part in parts)] for name in found.classes]
    return heads, [*rows, ["all", *(f"{sum(found.counts[part].values()):,}" for part in parts)]]


def names(finding: Finding, most: int = _NAMES) -> str:
    """The images of a finding, the first ones by their names."""
    shown = ", ".join(item.name for item in finding.items[:most])
    more = len(finding.items) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def audit_figures(found: Audit) -> dict[str, Any]:
    """An audit as plain values: what JSON holds."""
    return {
        "name": found.name,
        "source": found.source,
        "images": found.images,
        "classes": list(found.classes),
        "counts": found.counts,
        "summary": dict(found.summary),
        "method": list(found.method),
        "accuracy": found.accuracy,
        "interval": found.interval,
        "notes": list(found.notes),
        "seconds": round(found.seconds, 2),
        "serious": found.serious,
        "findings": [_figures(finding) for finding in found.findings],
    }


def _figures(finding: Finding) -> dict[str, Any]:
    serious = next(kind.serious for kind in KINDS if kind.name == finding.kind)
    return {
        "kind": finding.kind,
        "serious": serious,
        "reason": finding.reason,
        "score": round(finding.score, 4),
        "images": [{"name": item.name, "label": item.label, "part": item.part} for item in finding.items],
        "beside": [item.name for item in finding.beside],
        "leave_out": [item.name for item in finding.items if item.row in finding.leave_out],
    }


def _kind_text(kind: Kind, found: Sequence[Finding]) -> str:
    lines = [f"{kind.title}: {len(found):,}{'  (serious)' if kind.serious else ''}"]
    lines += [f"  {names(finding)}: {finding.reason}" for finding in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN:,} more")
    return "\n".join([*lines, f"  {kind.advice}"])
