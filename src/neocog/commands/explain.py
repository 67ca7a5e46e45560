"""`neocog explain`: why a classifier says what it says of an image, down to the numbers."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neocog.arguments import ModelOption, RunArgument, one_of, whole
from neocog.errors import DataError, RecipeError
from neocog.printing import err, out, say

if TYPE_CHECKING:
    from neocog.explain.explanation import Explanation

_WIDEST = 120
_LEAST_WIDTH = 72


def place(text: str | None) -> tuple[int, ...] | None:
    """Read a place: `4,7` is a row and a column, `12` a unit. Raises `RecipeError` for anything else."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise RecipeError(
            f"--at {text}: expected a row and a column such as 4,7, or of a flat layer the number of a unit."
        ) from None


def explain(
    run: RunArgument,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files, globs or folders.")],
    layer: Annotated[
        str | None, typer.Option(metavar="LAYER", help="The layer to look at; else the first convolution.")
    ] = None,
    channel: Annotated[
        int | None, typer.Option(parser=whole, metavar="N", help="A channel of it; else the one that fired most.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="Y,X", help="Row and column; of a flat layer the unit. Else the strongest."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="The class whose pixels to look for; else the answer.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            parser=one_of("gradcam", "occlusion", "integrated-gradients"),
            metavar="gradcam|occlusion|integrated-gradients",
            help="How to look for them; else gradcam, where the network has maps.",
        ),
    ] = None,
    out_path: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.png|DIR", help="Draw it all; a folder gets a file an image.")
    ] = None,
    model: ModelOption = None,
) -> None:
    """Show what a classifier makes of an image: its layers, one value worked out, what it sees, and where it looked."""
    wanted = place(at)
    # torch takes a while to import; a mistake in the names need not wait for it.
    from neocog.data import image_files

    files = list(image_files(images))
    paths = _outputs(out_path, files)
    from neocog.classifier import load
    from neocog.data import UnreadableImage

    classifier, bad = load(run, model=model), 0
    for number, (file, path) in enumerate(zip(files, paths, strict=True)):
        try:
            found = classifier.explain(file, layer=layer, channel=channel, at=wanted, method=method, target=label)  # type: ignore[arg-type]  # one_of has checked the method
        except UnreadableImage as error:
            if len(files) == 1:
                raise
            err.print(f"left out: {error}", markup=False)
            bad += 1
            continue
        say(("\n\n" if number else "") + found.text(width=_width()))
        _save(found, path)
    if bad == len(files):
        raise DataError("none of the files could be read.")
    if bad:
        raise typer.Exit(1)


def _width() -> int:
    return max(_LEAST_WIDTH, min(out.width, _WIDEST)) if out.is_terminal else _WIDEST


def _save(found: Explanation, path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save(path)
    say(f"\ndrawn: {path}")


def _outputs(given: Path | None, files: list[Path]) -> list[Path | None]:
    """Give the picture to write for each image; raises `RecipeError` where one file cannot hold several."""
    if given is None:
        return [None] * len(files)
    if given.suffix.lower() == ".png" and not given.is_dir():
        if len(files) > 1:
            raise RecipeError(f"--out {given}: {len(files)} images need a folder, not one file.")
        return [given]
    if given.suffix and not given.is_dir():
        raise RecipeError(f"--out {given}: expected a file that ends in .png, or a folder.")
    if given.is_file():
        raise RecipeError(f"--out {given} is a file: expected a file that ends in .png, or a folder.")
    names: set[str] = set()
    return [given / _unused(file.stem, names) for file in files]


def _unused(stem: str, names: set[str]) -> str:
    """Give a file name that no image before has, and note it."""
    name = next(name for number in count(1) if (name := _numbered(stem, number)) not in names)
    names.add(name)
    return name


def _numbered(stem: str, number: int) -> str:
    return f"{stem}.explained.png" if number == 1 else f"{stem}-{number}.explained.png"
