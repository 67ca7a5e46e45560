"""`neocog evaluate`: how good a classifier is, and how far its probabilities can be trusted."""

from __future__ import annotations

from typing import Annotated

import typer

from neocog.arguments import ModelOption, RunArgument, one_of
from neocog.printing import accuracy_text, err, out, per_class, say


def evaluate(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Images with labels; else those the run was judged by.")
    ] = None,
    model: ModelOption = None,
    as_format: Annotated[
        str, typer.Option("--format", parser=one_of("table", "json"), metavar="table|json", help="How to print.")
    ] = "table",
) -> None:
    """Compare a classifier's answers with the labels of a data set, a folder or a CSV file."""
    import json

    from neocog.classifier import load
    from neocog.data import Skipped
    from neocog.recipe import Recipe

    classifier, skipped = load(run, model=model), list[Skipped]()
    images, part = classifier.images_to_evaluate(data, on_skip=skipped.append)
    evaluation = classifier.evaluate(images)
    source = data or Recipe.from_text(classifier.metadata.recipe, source=run).data.source
    if as_format == "json":
        found = {"source": source, "part": part, "skipped": len(skipped)} | evaluation.figures()
        out.print_json(json.dumps(found), ensure_ascii=False)
    else:
        figures = accuracy_text(evaluation.accuracy, evaluation.images, evaluation.interval)
        say(f"{source}{', ' if part else ''}{part}: accuracy {figures}, loss {evaluation.loss:.4f}")
        say(per_class(evaluation))
    for item in skipped:
        err.print(f"left out: {item.path}: {item.reason}", markup=False)
