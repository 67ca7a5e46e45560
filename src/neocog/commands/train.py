"""The commands train, demo and resume: from images to a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neocog.arguments import ModelOption, OutOption, number, whole
from neocog.errors import RecipeError
from neocog.printing import Answers, accuracy_text, say

if TYPE_CHECKING:
    from neocog.run import Run

INTERRUPTED = 130


def train(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="A data set by name, a folder of images, or a CSV file.")
    ] = None,
    model: ModelOption = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="A built-in recipe by name, or a TOML file.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(parser=whole, metavar="N", help="Passes over the training images.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(parser=whole, metavar="N", help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(parser=number, metavar="X", help="Learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(parser=whole, metavar="N", help="Seed of everything random.")] = None,
    device: Annotated[str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or mps.")] = None,
    patience: Annotated[
        int | None, typer.Option(parser=whole, metavar="N", help="Epochs without improvement before it stops.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(parser=number, metavar="M", help="Photographs: time for choosing how to train; 1 unless given."),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--pretrained",
            "--weights",
            metavar="imagenet|FILE|RUN",
            help="Begin with trained weights: published ones, those of a file (.pth, .safetensors), or of a run.",
        ),
    ] = None,
    skip_list: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Leave these images out, such as neocog audit --write-list found."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a folder with unreadable files.")] = False,
    out: OutOption = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Any key of the recipe; neocog recipes default has all."),
    ] = None,
) -> None:
    """Train a classifier: from images to a run."""
    from neocog.recipe import parse_assignment
    from neocog.training.session import train as train_run

    flags = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed, "device": device, "patience": patience}
    flags |= {"pretrained": pretrained, "skip_list": skip_list}
    values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    if strict:
        values["strict"] = True
    for text in setting or []:
        key, value = parse_assignment(text)
        if "." not in key:
            raise RecipeError(f"--set {text!r}: expected table.key=value, such as train.epochs=3.")
        values[key] = value
    if minutes is not None and not minutes > 0:
        raise RecipeError(f"--minutes {minutes:g}: expected a time above 0.")
    _report(train_run(data, recipe=recipe, model=model, out=out, minutes=minutes, **values))


def demo(out: OutOption = None) -> None:
    """Train a small CNN on MNIST (recipe mnist-quick) and predict a few test images: a first look at everything."""
    from neocog.classifier import load
    from neocog.training.session import train as train_run

    run = train_run(recipe="mnist-quick", out=out)
    files = _write_examples(run)
    _report(run)
    say("\nSome test images, their file names beginning with the true digit:")
    Answers().print_table(load(run).stream(files), 3)
    say(
        f"\nOpen {run.path / 'report.html'} in a browser, then try:\n"
        f"  neocog explain {run.path} {files[0]}\n"
        f"  neocog predict {run.path} {files[0].parent}\n"
        f"  neocog evaluate {run.path}\n"
        "  neocog summary lenet5\n"
        "  neocog train fashion-mnist --model lenet5 --epochs 3\n"
        "  neocog train path/to/your/folder"
    )


def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.")],
    model: ModelOption = None,
) -> None:
    """Go on with an interrupted run; it ends with the bits of an uninterrupted one."""
    from neocog.run import Run
    from neocog.training.session import resume as resume_run

    before = Run(run)
    if before.finished:
        say(f"{run} is finished already.")
    _report(resume_run(before, model=model))


def _report(run: Run) -> None:
    """Say what a run has come to, where things lie and what to type next."""
    from neocog.run import REPORT, SKIPPED

    metrics = run.metrics
    if not metrics:
        say(f"Stopped. Go on with: neocog resume {run.path}")
        sys.exit(INTERRUPTED)
    for note in metrics["notes"]:
        say(f"note: {note}")
    if metrics["skipped"]:
        one = metrics["skipped"] == 1
        some = "1 file could not be used and was" if one else f"{metrics['skipped']:,} files could not be used and were"
        say(f"note: {some} left out; see {run.path / SKIPPED}")
    part = "test" if "test" in metrics else "valid"
    figures = metrics[part]
    for tried in _chosen(metrics):
        told = accuracy_text(tried["accuracy"], tried["images"], tried["interval95"])
        say(f"cross-validation inside the training images, {tried['procedure']}: {told}")
    chooses = metrics.get("validation_chooses", True)
    validated = "validation accuracy" + (" (validation, used to choose)" if chooses else "")
    label = "test accuracy" if part == "test" else validated
    say(f"{label} {accuracy_text(figures['accuracy'], figures['images'], figures['interval95'])}")
    if metrics["validation_origin"] == "test" and chooses:
        say("The test set was also the validation set: this figure was used to choose.")
    if (run.path / REPORT).is_file():
        say(f"report    {run.path / REPORT}")
    pictures = ", ".join(sorted(path.name for path in run.path.glob("*.png")))
    say(f"run       {run.path}\npictures  {pictures}\nnext      neocog predict {run.path} IMAGE…")


def _chosen(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the figures of the procedure in cross-validation; none where there was none."""
    found = metrics.get("choice", {}).get("cross_validation", {})
    alone = [metrics["cross_validation"]] if "cross_validation" in metrics else []
    return [tried for tried in found.get("tried", []) if tried["procedure"] == found.get("chosen")] or alone


def _write_examples(run: Run) -> list[Path]:
    """Write the first test image of each class as a file, for something to predict."""
    from PIL import Image

    from neocog.data import load_images

    classifier = run.classifier()
    images = load_images("mnist", classifier.geometry, classifier.classes)
    folder = run.path / "examples"
    folder.mkdir(exist_ok=True)
    files = []
    for label, name in enumerate(images.classes):
        first = int((images.labels == label).nonzero()[0])
        files.append(folder / f"{name}-test-{first}.png")
        Image.fromarray(images.images[first, 0].numpy()).save(files[-1])
    return files
