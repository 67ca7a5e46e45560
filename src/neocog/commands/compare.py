"""`neocog compare`: classifiers side by side on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neocog.arguments import one_of
from neocog.commands.paths import check_output
from neocog.errors import RunError
from neocog.printing import err, out, say

if TYPE_CHECKING:
    from neocog.classifier import Classifier
    from neocog.comparison import Comparison


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders or .safetensors files, at least two.")],
    on: Annotated[
        str | None, typer.Option(metavar="DATA", help="Images with labels; else the data that all were trained on.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="NETWORK", help="Code that may be imported where a run names it: package:name."
        ),
    ] = None,
    as_format: Annotated[
        str, typer.Option("--format", parser=one_of("table", "json"), metavar="table|json", help="How to print.")
    ] = "table",
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="All of it as a page (.html), or the images they differ on (.png)."),
    ] = None,
) -> None:
    """Compare classifiers on the same images, which none of them was trained on, with McNemar's test."""
    import json

    check_output("--out", out_file, ".html", ".png")
    if len(runs) < 2:
        raise RunError(f"there is nothing to compare {runs[0]} with: name two or more runs.")
    from neocog.comparison import compare as compare_runs
    from neocog.comparison.words import comparison_text

    found = compare_runs([_load(run, models or []) for run in runs], on, names=_short(runs))
    if as_format == "json":
        out.print_json(json.dumps(found.figures()), ensure_ascii=False)
    else:
        say(comparison_text(found))
    if out_file is not None:
        err.print(f"wrote {_write(found, out_file)}", markup=False)


def _write(found: Comparison, path: Path) -> Path:
    if path.suffix.lower() == ".html":
        from neocog.report.page.comparison import write_comparison

        return write_comparison(path, found)
    from neocog.report.differences import plot_differences

    return plot_differences(found, path)


def _short(runs: list[str]) -> list[str]:
    """Give the paths without the folders that all of them have in common, where that leaves each a name of its own."""
    parts = [Path(run).parts for run in runs]
    common = 0
    while all(len(part) > common + 1 and part[common] == parts[0][common] for part in parts):
        common += 1
    return [str(Path(*part[common:])) for part in parts]


def _load(run: str, trusted: list[str]) -> Classifier:
    from neocog.classifier import load, metadata_of

    named = metadata_of(run).network if trusted else None
    return load(run, model=named if named in trusted else None)
