"""The page itself: the template filled in and written whole."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from neocog.notation import field_text
from neocog.report.page.contents import Subject, gather, most_classes
from neocog.report.page.frame import page_environment, write_page


def write_report(path: Path | str, subject: Subject) -> Path:
    """Write the page about `subject` to `path`, whole or not at all; gives `path`.

    The file holds everything that it shows: it asks no network for anything and runs no script.
    Raises `NeocogError` where it cannot be written; what stood there then stays.
    """
    contents, environment = gather(subject), page_environment()
    environment.filters |= {"share": _share, "field": field_text}
    return write_page(
        path,
        "report.html",
        environment,
        contents=contents,
        subject=subject,
        evaluation=subject.evaluation,
        classes=most_classes(subject.evaluation),
        # the charts escape for themselves
        svg=Markup,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
