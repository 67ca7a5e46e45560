"""The page itself: the template filled in and written whole."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from neocog import __version__
from neocog.files import write_whole
from neocog.notation import field_text
from neocog.report.page.contents import Subject, gather, most_classes
from neocog.report.page.pictures import file_uri
from neocog.report.pictures import SAMPLES

if TYPE_CHECKING:
    from neocog.report.page.contents import Contents


def write_report(path: Path | str, subject: Subject) -> Path:
    """Write the page about `subject` to `path`, whole or not at all; gives `path`.

    The file holds everything that it shows: it asks no network for anything and runs no script.
    Raises `NeocogError` where it cannot be written; what stood there then stays.
    """
    # a file name may hold bytes that are no UTF-8, and a page has no way to show them
    write_whole(path, render(gather(subject)).encode("utf-8", "replace"))
    return Path(path)


def render(contents: Contents) -> str:
    """Fill in the template."""
    # Class names and paths are a user's: everything is escaped but the charts, which escape for themselves.
    environment = Environment(
        loader=PackageLoader("neocog.report.page", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = _share
    environment.filters["field"] = field_text
    run = contents.subject.run
    return environment.get_template("template.html").render(
        contents=contents,
        subject=contents.subject,
        evaluation=contents.subject.evaluation,
        classes=most_classes(contents.subject.evaluation),
        samples=file_uri(run.path / SAMPLES) if run is not None and contents.samples else "",
        style=Markup(resources.files("neocog.report.page").joinpath("style.css").read_text(encoding="utf-8")),
        svg=Markup,
        version=__version__,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
