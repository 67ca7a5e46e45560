"""The report: every table and picture of the results, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from neocog.errors import NeocogError
from neocog.files import write_error, write_whole
from neocog.report.seeds import plot_seeds
from neocog.report.shift import plot_shift
from neocog.reproduction.gathering import Histories
from neocog.reproduction.published import PUBLISHED, Published
from neocog.reproduction.results import Results
from neocog.reproduction.tables import (
    ASSUMED_MARK,
    POOLING,
    SHIFT,
    TEST_MARK,
    full_table,
    pooling_table,
    shift_table,
)

REPORT, PICTURES, SHIFT_PICTURE = "reproduction.md", "pictures", "shift.png"

# Which claims can be read off a curve of the validation or test images, and as what.
_ON_CURVES: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "lowest_valid_loss": ("loss", float),
    "best_valid_accuracy": ("accuracy", float),
    "last_valid_accuracy": ("accuracy", float),
    "test_accuracy": ("accuracy", float),
    "test_error": ("accuracy", lambda error: 1 - error),
}

_LEGEND = f"""\
Ours is the mean over the seeds ± the sample standard deviation; the range is from the lowest to the highest seed.
Parameters, epochs and seconds are means as well; the seconds are those of one run, training and evaluation.

- reached: our mean is at least as good as the published figure.
- within the spread: it is worse, but the published figure lies in our range or within two standard errors of our mean;
  for accuracies these include the binomial error of the images they were measured on.
- missed: it is worse by more than that. A goal of ours is reached or missed, nothing between.
- {TEST_MARK} The test set was also the validation set, as in the source. The best of several epochs is then a little
  too good; the last epoch's figure was not used to choose anything.
- {ASSUMED_MARK} Something that the source leaves open was assumed; the list is below."""


def write_report(folder: Path, results: Results, histories: Histories) -> Path:
    """Draw the curves of every recipe and write `reproduction.md`; gives its path.

    Raises `NeocogError` where a file cannot be written.
    """
    pictures = folder / PICTURES
    try:
        pictures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(pictures, error) from error
    for name, seeds in histories.items():
        entry = PUBLISHED.get(name)
        compared = drawn_across(entry) if entry else {}
        label = "goal" if entry and entry.goal else "published"
        plot_seeds(seeds, pictures / f"{name}.png", title=name, compared=compared, compared_label=label)
    if shift_table(results):
        shifted = results.shift_tables()
        plot_shift({name: shifted[name] for name in SHIFT}, pictures / SHIFT_PICTURE)
    write_whole(folder / REPORT, f"# Published figures and ours\n\n{body(results, PICTURES)}\n")
    return folder / REPORT


def drawn_across(entry: Published) -> dict[str, float]:
    """Give what a recipe's curves are compared with: `loss` and `accuracy`, as far as they were published."""
    found: dict[str, float] = {}
    for claim in entry.claims:
        if claim.number is not None and claim.figure in _ON_CURVES:
            axis, reckon = _ON_CURVES[claim.figure]
            found.setdefault(axis, reckon(claim.number))
    return found


def body(results: Results, pictures: str) -> str:
    """Give everything below the title as Markdown; `pictures` is the folder that its links to pictures lead to.

    Raises `NeocogError` where there is not a single run to tell of.
    """
    if not results.runs:
        raise NeocogError("there is no finished run to report. Train some first: neocog reproduce NAME")
    return "\n\n".join(_parts(results, pictures))


def _parts(results: Results, pictures: str) -> Iterator[str]:
    yield "## The table"
    yield full_table(results)
    yield _LEGEND
    yield _machine(results)
    assumed = [
        f"- `{name}`: {'; '.join(entry.assumed)}"
        for name, entry in PUBLISHED.items()
        if entry.assumed and results.of(name)
    ]
    if assumed:
        yield "## What was assumed"
        yield "\n".join(assumed)
    pooling = pooling_table(results)
    if pooling:
        yield "## Pooling or stride"
        yield (
            f"`{POOLING[0]}` halves its maps by max pooling, `{POOLING[1]}` by convolutions of stride 2. The figures "
            "are those of the best weights on the test images, which chose these weights too. MACs are "
            "multiply-accumulates for one image."
        )
        yield pooling
    shifted = shift_table(results)
    if shifted:
        yield "## Shifted images"
        yield (
            "Both networks were trained on images as they are. The test images are then shifted by whole pixels, zeros "
            "entering at the border; each accuracy is the mean over the directions up, down, left and right."
        )
        yield shifted
        yield f"![Accuracy against the distance of the shift]({pictures}/{SHIFT_PICTURE})"
    yield "## The curves"
    yield "A thin line a seed; bold their mean, as far as all were trained; dotted what was published or is our goal."
    for name in dict.fromkeys(run.recipe for run in results.runs):
        source = f"{PUBLISHED[name].source[0].upper()}{PUBLISHED[name].source[1:]}." if name in PUBLISHED else ""
        yield f"### `{name}`"
        if source:
            yield source
        yield f"![Loss and accuracy of {name} by epoch]({pictures}/{name}.png)"


def _machine(results: Results) -> str:
    machine = results.machine
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    places = sorted({f"{run.place} (PyTorch {run.torch})" for run in results.runs if run.place})
    trained = f" Trained on {'; '.join(places)}.".replace(" 1 threads", " 1 thread") if places else ""
    return (
        f"The machine: {machine.processor}, {cores}, {machine.system}, Python {machine.python}, "
        f"neocog {machine.neocog}.{trained}"
    )
