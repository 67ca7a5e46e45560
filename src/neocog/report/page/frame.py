"""What all pages share: the frame that they stand in, and how they are filled in and written."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from neocog import __version__
from neocog.files import write_whole


def page_environment() -> Environment:
    """Give the environment that fills in the templates of the pages.

    Names of classes, files and folders are a user's: everything is escaped that is not marked as markup.
    """
    environment = Environment(
        loader=PackageLoader("neocog.report.page", "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("neocog.report.page").joinpath("style.css").read_text(encoding="utf-8")
    environment.globals |= {"style": Markup(style), "version": __version__}
    return environment


def write_page(path: Path | str, template: str, environment: Environment, **values: Any) -> Path:
    """Fill in a template and write it to `path`, whole or not at all; gives `path`.

    Raises `NeocogError` where it cannot be written; what stood there then stays.
    """
    text = environment.get_template(template).render(**values)
    # a file name may hold bytes that are no UTF-8, and a page has no way to show them
    write_whole(path, text.encode("utf-8", "replace"))
    return Path(path)
