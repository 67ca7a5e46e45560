"""The command predict: images to labels and probabilities."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from neocog.arguments import ModelOption, RunArgument, number, one_of, whole
from neocog.errors import DataError, RecipeError
from neocog.printing import Answers, err


def predict(
    run: RunArgument,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Image files, globs, folders, or - for a list on standard input."),
    ],
    top: Annotated[int, typer.Option(parser=whole, metavar="K", help="How many labels to show.")] = 3,
    min_confidence: Annotated[
        float, typer.Option(parser=number, metavar="P", help='Below this probability the answer is "unsure".')
    ] = 0.0,
    flips: Annotated[
        bool, typer.Option("--flips", help="Answer by the mean of the image and its mirror image; takes twice as long.")
    ] = False,
    model: ModelOption = None,
    as_format: Annotated[
        str,
        typer.Option("--format", parser=one_of("table", "json", "csv"), metavar="table|json|csv", help="How to print."),
    ] = "table",
) -> None:
    """Classify images; thousands stream in batches.

    Exit code 1 says that some of the files could not be read, 2 that none could.
    """
    if top < 1:
        raise RecipeError(f"--top {top}: expected the number of labels to show, at least 1.")
    if not 0 <= min_confidence <= 1:
        raise RecipeError(f"--min-confidence {min_confidence:g}: expected a probability from 0 to 1.")
    # torch takes a while to import; a mistake in the names need not wait for it.
    _refuse_missing(images)
    from neocog.classifier import load

    classifier = load(run, model=model)
    top = min(top, len(classifier.classes))
    answers, given = classifier.stream(_files(images), top=top, min_confidence=min_confidence, flips=flips), Answers()
    {"table": given.print_table, "json": given.print_json, "csv": given.print_csv}[as_format](answers, top)
    if not given.good and not given.bad:
        raise DataError("standard input named no files: give a path a line.")
    if given.bad:
        sys.stdout.flush()
        total = given.good + given.bad
        err.print(f"{given.bad:,} of {total:,} {'file' if total == 1 else 'files'} could not be read.")
        raise typer.Exit(1 if given.good else 2)


def _refuse_missing(images: list[str]) -> None:
    """Raise `DataError` for a name that cannot be meant, before anything is loaded."""
    import glob

    for image in images:
        if image != "-" and not glob.has_magic(image) and not Path(image).exists():
            raise DataError(f"no file or folder is called {image}. Mind the spelling, or give a pattern such as *.jpg.")


def _files(images: list[str]) -> Iterator[str | Path]:
    """Give the files that the arguments name; each line of standard input is a file or a folder as it is."""
    from neocog.data import image_files

    for image in images:
        if image != "-":
            yield from image_files([image])
            continue
        for line in sys.stdin:
            name = line.rstrip("\r\n")
            if name.strip():
                # One missing file among thousands is told in its place and stops nothing.
                yield from image_files([name]) if Path(name).is_dir() else [name]
