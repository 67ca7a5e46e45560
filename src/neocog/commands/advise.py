"""`neocog advise`: how to train on a set of images, argued from measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neocog.arguments import number, one_of
from neocog.commands.paths import check_output
from neocog.errors import RecipeError
from neocog.printing import err, out, say


def advise(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, a CSV file, or a data set by name.")],
    minutes: Annotated[
        float | None,
        typer.Option(parser=number, metavar="M", help="How long a training may take; more images are looked at then."),
    ] = None,
    groups: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="What belongs together stays in one fold: groups of a recipe.")
    ] = None,
    skip_list: Annotated[str | None, typer.Option(metavar="FILE", help="Images to leave out.")] = None,
    write_recipe: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Write the advised recipe to this file.")
    ] = None,
    as_format: Annotated[
        str, typer.Option("--format", parser=one_of("text", "json"), metavar="text|json", help="How to print.")
    ] = "text",
) -> None:
    """Say how to train on images: how many there are, how much like ImageNet's, what more of them would bring."""
    import json

    if minutes is not None and not 0 < minutes < float("inf"):
        raise RecipeError(f"--minutes: expected a number above 0, not {minutes:g}.")
    check_output("--write-recipe", write_recipe, ".toml")
    from neocog.training.progress import ProgressBar
    from neocog.transfer.advice import advise as measure
    from neocog.transfer.advice_text import advice_figures, advice_text
    from neocog.transfer.recommending import recommend

    bar = ProgressBar()
    try:
        advice = measure(data, minutes=minutes, groups=groups, skip_list=skip_list, progress=bar.data)
    finally:
        bar.close()
    recommended = recommend(advice, data, groups=groups, skip_list=skip_list)
    if write_recipe is not None:
        recommended.recipe.save(write_recipe)
    if as_format == "json":
        out.print_json(json.dumps(advice_figures(advice, recommended)), ensure_ascii=False)
    else:
        say(advice_text(advice, recommended))
        say(f"Do it with: {_command(data, write_recipe)}")
    if write_recipe is not None:
        err.print(f"wrote {write_recipe}", markup=False)


def _command(data: str, recipe: Path | None) -> str:
    import shlex

    if recipe is not None:
        return f"neocog train --recipe {shlex.quote(str(recipe))}"
    return f"neocog advise {shlex.quote(data)} --write-recipe advised.toml, then neocog train --recipe advised.toml"
