"""Read the finished runs of a folder into results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from neocog.classifier import load
from neocog.errors import NeocogError
from neocog.recipe import Recipe
from neocog.reproduction.figures import read_figures, read_log
from neocog.reproduction.results import RESULTS, Result, Results, Shifted, this_machine
from neocog.reproduction.sameness import differences
from neocog.reproduction.shift import shifted_accuracies
from neocog.reproduction.tables import SHIFT
from neocog.run import RECIPE, WEIGHTS, Run
from neocog.summary import summarize

Histories = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
_SEED = "seed-"


@dataclass(frozen=True)
class Gathered:
    """What a folder holds: results, the histories by recipe (a list of rows a seed), and what could not be read."""

    results: Results
    histories: Histories
    failures: dict[Path, str] = field(default_factory=dict)


def gather(out: Path, recipes: Mapping[str, Recipe], tell: Callable[[str], None]) -> Gathered:
    """Read every finished run of `recipes` under `out`, whoever trained it, and measure what compares them.

    Runs of another recipe are left out, which `tell` hears.
    """
    results: list[Result] = []
    histories: dict[str, list[list[dict[str, Any]]]] = {}
    runs: dict[tuple[str, int], Run] = {}
    failures: dict[Path, str] = {}
    for name, recipe in recipes.items():
        for seed, path in _seeds(out / name):
            try:
                run = Run(path)
                other = differences(recipe.with_values({"train.seed": seed}), run.recipe)
                if other:
                    tell(f"left out: {path}, a run of another recipe than {name} is now: {'; '.join(other)}")
                elif run.finished:
                    results.append(_result(name, seed, run))
                    histories.setdefault(name, []).append(run.history)
                    runs[name, seed] = run
            except NeocogError as error:
                failures[path] = str(error)
    shifted = _shifted(out, runs, failures, tell)
    return Gathered(Results(machine=this_machine(), runs=results, shifted=shifted), histories, failures)


def run_path(out: Path, name: str, seed: int) -> Path:
    """Give the folder of the run of a recipe with a seed."""
    return out / name / f"{_SEED}{seed}"


def _seeds(folder: Path) -> Iterator[tuple[int, Path]]:
    found = {
        int(path.name.removeprefix(_SEED)): path
        for path in folder.glob(f"{_SEED}*")
        if path.name.removeprefix(_SEED).isdecimal() and (path / RECIPE).is_file()
    }
    yield from sorted(found.items())


def _result(name: str, seed: int, run: Run) -> Result:
    recipe, metrics, record = run.recipe, run.metrics, read_log(run.path)
    if recipe.data.channels is None or recipe.data.image_size is None:
        raise NeocogError(f"{run.path / RECIPE} does not say how large the images are. Delete the run and train anew.")
    shape = (recipe.data.channels, *recipe.data.image_size)
    return Result(
        recipe=name,
        seed=seed,
        figures=read_figures(run),
        valid_images=metrics.get("valid", {}).get("images", 0),
        test_images=metrics.get("test", {}).get("images", 0),
        validated_on_test=metrics["validation_origin"] == "test",
        macs=summarize(recipe.model.network, shape, metrics["classes"]).macs,
        seconds=record.seconds,
        place=record.place,
        torch=record.torch,
    )


def _shifted(
    out: Path, runs: Mapping[tuple[str, int], Run], failures: dict[Path, str], tell: Callable[[str], None]
) -> list[Shifted]:
    """Measure the networks of the comparison under shift, where runs of all of them are there."""
    if not set(SHIFT) <= {name for name, _ in runs}:
        return []
    known = {(row.recipe, row.seed, row.weights): row for row in _earlier(out)}
    measured = []
    for (name, seed), run in runs.items():
        if name not in SHIFT:
            continue
        try:
            digest = hashlib.blake2b((run.path / WEIGHTS).read_bytes(), digest_size=16).hexdigest()
            row = known.get((name, seed, digest))
            if row is None:
                tell(f"{name}, seed {seed}: shifting the test images")
                row = Shifted(recipe=name, seed=seed, weights=digest, accuracies=_accuracies(run))
            measured.append(row)
        except (NeocogError, OSError) as error:
            failures[run.path] = str(error)
    return measured


def _accuracies(run: Run) -> list[float]:
    classifier = load(run)
    # In the layout of the training, several times faster where that is channels_last.
    layout = run.recipe.train.memory_format == "channels_last"
    classifier.hardware = replace(classifier.hardware, channels_last=layout)
    classifier.hardware.place(classifier.model)
    images, _ = classifier.images_to_evaluate()
    with classifier.hardware.repeatable():
        return shifted_accuracies(classifier, images)


def _earlier(out: Path) -> list[Shifted]:
    """Give what an earlier call measured; what cannot be read is measured again."""
    try:
        return Results.load(out / RESULTS).shifted
    except NeocogError:
        return []
