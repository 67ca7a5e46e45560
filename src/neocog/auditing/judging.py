"""Findings from features and answers: likely label errors, and images that are like no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from neocog.auditing.answering import Answers
from neocog.auditing.findings import Finding, Item
from neocog.auditing.label_errors import confident_learning
from neocog.auditing.nearest import Nearest
from neocog.data.source import Int64

_BESIDE = 4
_LEAST_OUTLIERS = 50  # images, to know what is usual
# Deviations below the usual similarity; the "image not found" of a set of photographs lies at 5.6, the oddest
# photograph at 4.2.
_ODD = 5.0


def label_findings(found: Answers, items: Sequence[Item], similar: Nearest) -> Iterator[Finding]:
    """A finding for each likely label error, `similar` being the nearest neighbours of each of `items`."""
    names = [""] * (int(found.labels.max()) + 1)
    for place, label in zip(found.places.tolist(), found.labels.tolist(), strict=True):
        names[label] = items[place].label
    suspects = confident_learning(found.probabilities, found.labels)
    for row, suggested, margin in zip(suspects.rows.tolist(), suspects.suggested.tolist(), suspects.margin.tolist(),
                                      strict=True):  # fmt: skip
        place = int(found.places[row])
        probability = found.probabilities[row]
        near = [items[other] for other in similar.rows[place].tolist()]
        told = (
            f"labelled {items[place].label}; {names[suggested]} {_percent(probability[suggested])} by a model that "
            f"never saw it, {items[place].label} {_percent(probability[found.labels[row]])}; {_neighbours(near)}"
        )
        yield Finding("label", (items[place],), told, -margin, tuple(near[:_BESIDE]))


def outlier_findings(similar: Nearest, items: Sequence[Item]) -> Iterator[Finding]:
    """A finding for each image whose nearest neighbours are much further away than is usual."""
    if len(items) < _LEAST_OUTLIERS:
        return
    closeness = 1 - (similar.distances.astype(np.float64) ** 2).mean(1) / 2
    usual = float(np.median(closeness))
    spread = 1.4826 * float(np.median(np.abs(closeness - usual)))
    if spread <= 0:
        return
    deviations: np.ndarray = (usual - closeness) / spread
    places: Int64 = np.flatnonzero(deviations > _ODD)
    for place in places.tolist():
        near = tuple(items[other] for other in similar.rows[place, :_BESIDE].tolist())
        reason = (
            f"its nearest neighbours are {closeness[place]:.2f} similar, where {usual:.2f} is usual "
            f"({deviations[place]:.1f} deviations)"
        )
        yield Finding("outlier", (items[place],), reason, float(deviations[place]), near)


def _neighbours(near: Sequence[Item]) -> str:
    counts = Counter(item.label for item in near).most_common()
    return f"its {len(near)} nearest neighbours: " + ", ".join(f"{label} {count}" for label, count in counts)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
