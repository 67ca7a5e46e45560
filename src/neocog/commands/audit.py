"""`neocog audit`: a data set looked through before it is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neocog.arguments import one_of
from neocog.commands.paths import check_output
from neocog.errors import DataError, RecipeError
from neocog.printing import err, out, say


def audit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, a CSV file or a known data set.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="All of it as a page, with the pictures.")
    ] = None,
    list_file: Annotated[
        Path | None,
        typer.Option("--write-list", metavar="FILE.csv", help="Images to leave out, for neocog train --skip-list."),
    ] = None,
    label_errors: Annotated[
        bool, typer.Option("--include-label-errors", help="Put likely label errors on the list too.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without a model: no check of labels, and fewer near duplicates.")
    ] = False,
    groups: Annotated[
        str | None, typer.Option(metavar="PATTERN|COLUMN", help="What belongs together, as data.groups.")
    ] = None,
    as_format: Annotated[
        str, typer.Option("--format", parser=one_of("table", "json"), metavar="table|json", help="How to print.")
    ] = "table",
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 1 where a finding is serious.")] = False,
) -> None:
    """Look for damaged files, duplicates, leaks into the test images and likely label errors; changes nothing."""
    import json

    check_output("--out", out_file, ".html")
    check_output("--write-list", list_file, ".csv", ".txt")
    if label_errors and list_file is None:
        raise RecipeError("--include-label-errors is about the list: add --write-list FILE.csv.")
    if label_errors and quick:
        raise RecipeError("--quick checks no labels: leave out --quick or --include-label-errors.")
    _check_list(data, list_file)
    from neocog.auditing import audit as look_through
    from neocog.training.progress import ProgressBar

    bar = ProgressBar()
    try:
        found = look_through(data, groups=groups, quick=quick, progress=bar.data)
    finally:
        bar.close()
    count = None if list_file is None else found.write_list(list_file, include_label_errors=label_errors)
    if as_format == "json":
        out.print_json(json.dumps(found.figures()), ensure_ascii=False)
    else:
        say(found.text())
    if count is not None:
        err.print(f"wrote {list_file} with {count:,} image{'' if count == 1 else 's'} to leave out", markup=False)
    if out_file is not None:
        err.print(f"wrote {found.save(out_file)}", markup=False)
    if strict and found.serious:
        raise typer.Exit(1)


def _check_list(data: str, list_file: Path | None) -> None:
    """Refuse a list that cannot be or would overwrite the data, before minutes are spent."""
    if list_file is None:
        return
    from neocog.data.registry import find

    if find(data) is not None:
        raise DataError(
            f"{data} has no files, so there is no list to write. A list is for a folder of images or a CSV file."
        )
    if list_file.exists() and Path(data).expanduser().exists() and list_file.samefile(Path(data).expanduser()):
        raise RecipeError(f"--write-list {list_file} is the data set itself. Give the list a name of its own.")
