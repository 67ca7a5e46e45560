"""`audit`: a data set looked through, one step after the other."""

from __future__ import annotations

import time
from pathlib import Path

from neocog.auditing.answering import answers, answers_told, photograph_features, trusted
from neocog.auditing.collecting import collect
from neocog.auditing.copies import find_copies
from neocog.auditing.duplicates import exact_findings, near_findings
from neocog.auditing.findings import ordered
from neocog.auditing.judging import label_findings, outlier_findings
from neocog.auditing.looks import class_sizes, odd_files, other_modes, summary_rows
from neocog.auditing.naming import class_counts, items_of, root_of, unreadable
from neocog.auditing.pictures import Pictures
from neocog.auditing.result import Audit
from neocog.data.file_pixels import FilePixels
from neocog.data.loading import find_source
from neocog.data.source import Progress


def audit(
    source: Path | str, *, groups: str | None = None, quick: bool = False, progress: Progress | None = None
) -> Audit:
    """Look through a data set (a name, a folder or a CSV file) without changing anything in it.

    `groups` is a pattern on file names, or a column, as in `data.groups`: what it joins stays together where a model is
    asked about images that it never saw. `quick` leaves out what needs a model: features, likely label errors and
    outliers. `progress(what, done, total)` is called now and then. Raises `DataError` where the data cannot be used at
    all.
    """
    began = time.perf_counter()
    found = find_source(str(source), groups=groups, progress=progress, to_train=False)
    seen = collect(found, progress)
    root = root_of(found, source)
    items = items_of(found, seen.rows, root)
    counts = class_counts(found, seen.rows)
    pictures = Pictures(found, dict(zip(seen.rows.tolist(), seen.looks, strict=True)))
    findings = [*unreadable(found, seen.bad, root), *odd_files(seen.looks, items), *other_modes(seen.looks, items)]
    findings += class_sizes(counts["train"])

    features, told = None, "Quick: no features, so few crops are found, and labels are not checked."
    if not quick and len(seen.rows):
        features, told = photograph_features(found, seen, progress)
    copies = find_copies(seen, features, pictures, progress)
    findings += [*exact_findings(copies.exact, items), *near_findings(copies.pairs, items)]

    checked, method = None, [told]
    if not quick:
        checked = answers(found, seen, features, copies.groups(found, seen.rows), progress)
        method.append(answers_told(checked))
        if checked is not None and trusted(checked):
            findings += label_findings(checked, items, copies.similar)
        if features is not None:
            findings += outlier_findings(copies.similar, items)
    return Audit(
        name=found.name,
        source=str(source),
        root=root,
        classes=found.classes,
        images=len(seen.rows),
        counts=counts,
        findings=ordered(findings),
        summary=tuple(summary_rows(seen.looks)),
        method=tuple(method),
        accuracy=None if checked is None else checked.accuracy,
        interval=None if checked is None else checked.interval,
        notes=found.notes,
        seconds=time.perf_counter() - began,
        pictures=pictures,
        paths=found.pixels.paths if isinstance(found.pixels, FilePixels) else None,
    )
