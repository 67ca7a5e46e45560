"""`neocog evaluate`: how good a classifier is, and how far its probabilities can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neocog.arguments import ModelOption, RunArgument, one_of
from neocog.commands.paths import check_output
from neocog.errors import RecipeError
from neocog.printing import err, out, say

if TYPE_CHECKING:
    from neocog.calibrating import Calibrated
    from neocog.classifier import Classifier
    from neocog.data import ImageSet, Skipped
    from neocog.evaluation import Evaluation


def evaluate(
    run: RunArgument,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Images with labels; else those the run was judged by.")
    ] = None,
    model: ModelOption = None,
    as_format: Annotated[
        str, typer.Option("--format", parser=one_of("table", "json"), metavar="table|json", help="How to print.")
    ] = "table",
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--uncalibrate",
            help="Fit a temperature to the run's validation images and store it with the weights; or take it back.",
        ),
    ] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="Answer with the mean over each image and its mirror image.")
    ] = False,
    mistakes: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the wrong answers with the largest loss.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Write all of it as one HTML page.")] = False,
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="The page; else report.html in the run.")
    ] = None,
) -> None:
    """Compare a classifier's answers with the labels of a data set, a folder or a CSV file."""
    import json

    check_output("--mistakes", mistakes, ".png")
    check_output("--out", out_file, ".html")
    if flips and calibrate is not None:
        raise RecipeError(
            "--flips and --calibrate do not go together: a temperature is fitted to the answers for single images. "
            "Calibrate first, then evaluate with --flips."
        )
    from neocog.classifier import load
    from neocog.data import Skipped
    from neocog.evaluation.words import evaluation_text
    from neocog.held_out import recipe_of

    classifier, skipped = load(run, model=model), list[Skipped]()
    # what is wrong with the images is said before anything is written
    images, part = classifier.images_to_evaluate(data, on_skip=skipped.append)
    classifier, calibrated = _calibrated(classifier, run, model, calibrate)
    evaluation = classifier.evaluate(images, flips=flips)
    source = data or recipe_of(classifier.metadata).data.source
    if as_format == "json":
        found: dict[str, Any] = {"source": source, "part": part, "skipped": len(skipped), "flips": flips}
        found |= evaluation.all_figures()
        if calibrated is not None:
            found["fit"] = calibrated.fit.figures() | {"note": calibrated.note}
            found["uncalibrated"] = _uncalibrated(evaluation)
        out.print_json(json.dumps(found), ensure_ascii=False)
    else:
        if calibrated is not None:
            say(_calibration_text(calibrated, evaluation, part or str(source)) + "\n")
        elif calibrate is False:
            say("The temperature is 1 again: the probabilities are those of the training.\n")
        about = [str(source), part, "means over each image and its mirror image" if flips else ""]
        say(evaluation_text(evaluation, ", ".join(filter(None, about))))
    for item in skipped:
        err.print(f"left out: {item.path}: {item.reason}", markup=False)
    if mistakes is not None:
        err.print(f"wrote {_draw(mistakes, images, evaluation, part)}", markup=False)
    if report or out_file is not None:
        page = out_file or _page(Path(run), data)
        err.print(
            f"wrote {_report(page, Path(run), classifier, images, evaluation, source, part, skipped, flips)}",
            markup=False,
        )


def _calibrated(
    classifier: Classifier, run: str, model: str | None, wanted: bool | None
) -> tuple[Classifier, Calibrated | None]:
    if wanted is None:
        return classifier, None
    from neocog.calibrating import calibrate, store_temperature

    if wanted:
        found = calibrate(run, model=model)
        return found.classifier, found
    store_temperature(run, 1.0)
    return classifier.with_temperature(1.0), None


def _calibration_text(found: Calibrated, evaluation: Evaluation, about: str) -> str:
    """Say what the temperature does to the images of the fit, and to those that took no part in it."""
    from neocog.printing import table

    fit, before = found.fit, _uncalibrated(evaluation)
    rows = [_row("validation images, of the fit", fit.ece_before, fit.ece_after, fit.nll_before, fit.nll_after)]
    ece, others = evaluation.calibration().ece, "used to choose" not in about
    if others:
        rows.append(_row(about, before["ece"], ece, before["loss"], evaluation.loss))
    heads = ("images", "ECE", "calibrated", "loss", "calibrated")
    lines = [
        f"temperature {fit.value:.4f}, fitted to {fit.images:,} validation images, stored in {found.path}",
        table(heads, rows, right=heads[1:]),
    ]
    if found.note:
        lines.append(f"note: {found.note}.")
    if not others:
        lines.append("There are no other images here, so what the temperature does to such is not measured.")
    elif ece > before["ece"]:
        lines.append(
            f"The ECE of the {about} is higher than before: there are too few of either to tell, or a temperature is "
            "no help here. Take it back with --uncalibrate."
        )
    return "\n".join(lines)


def _row(name: str, ece: float, ece_after: float, loss: float, loss_after: float) -> tuple[str, ...]:
    return name, f"{100 * ece:.2f} %", f"{100 * ece_after:.2f} %", f"{loss:.4f}", f"{loss_after:.4f}"


def _uncalibrated(evaluation: Evaluation) -> dict[str, float]:
    from dataclasses import replace

    plain = replace(evaluation, temperature=1.0)
    return {"ece": plain.calibration().ece, "loss": plain.loss}


def _draw(path: Path, images: ImageSet, evaluation: Evaluation, part: str) -> Path:
    from neocog.report.mistakes import plot_top_losses

    return plot_top_losses(images, evaluation, path, title=f"The largest losses on {part or 'the images'}")


def _page(run: Path, data: str | None) -> Path:
    from neocog.run import REPORT

    folder = run if run.is_dir() else run.parent
    name = REPORT if data is None else f"{Path(REPORT).stem}-{_short_name(data)}{Path(REPORT).suffix}"
    return folder / name


def _short_name(source: str) -> str:
    # "." and ".." are called what the folder is
    return Path(source).resolve().name or "images"


def _report(
    path: Path,
    weights: Path,
    classifier: Classifier,
    images: ImageSet,
    evaluation: Evaluation,
    source: str,
    part: str,
    skipped: list[Skipped],
    flips: bool,
) -> Path:
    """Write the page; where the weights lie in a run, it shows that too."""
    from neocog.report.page import Subject, write_report
    from neocog.run import RECIPE, Run

    folder = weights if weights.is_dir() else weights.parent
    run = Run(folder) if (folder / RECIPE).is_file() else None
    metrics = run.metrics if run is not None else {}
    name = _short_name(source)
    return write_report(path, Subject(classifier, images, evaluation, name, part, run, metrics, skipped, flips))
