"""What stands on the page of a report, gathered from a classifier, its run and its answers."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.data import ImageSet, Skipped
from neocog.errors import NeocogError
from neocog.report.confusion import plot_confusion
from neocog.report.page.charts import Axis, Line, line_chart, percent, plain, reliability_chart
from neocog.report.page.inside import Inside, look_inside
from neocog.report.page.pictures import file_uri
from neocog.report.page.provenance import Facts, provenance
from neocog.report.page.seen import Seen, geometry_text, seen
from neocog.report.page.worst import Answer, worst_answers, worst_first
from neocog.report.pictures import SAMPLES
from neocog.run import Run
from neocog.summary import Summary, summarize

if TYPE_CHECKING:
    from neocog.classifier import Classifier
    from neocog.evaluation import Evaluation

MOST_IN_MATRIX = 25  # classes; a larger matrix is a picture
_MOST_CLASSES = 200
_MOST_SKIPPED = 200
_MOST_CONFUSIONS = 8


@dataclass(frozen=True)
class Subject:
    """What a report is about: a classifier's answers for labelled images.

    `part` says in words which part of `source` the images are ("test images", "validation images, used to choose";
    empty for images that have nothing to do with the training). `run` is there where the weights lie in one, `metrics`
    are its figures. `skipped` are files that were left out; `flips` says that the answers are means over each image and
    its mirror image.
    """

    classifier: Classifier
    images: ImageSet
    evaluation: Evaluation
    source: str
    part: str
    run: Run | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    skipped: Sequence[Skipped] = ()
    flips: bool = False


@dataclass(frozen=True)
class Figure:
    """One number that matters, what it is and what to know about it."""

    label: str
    value: str
    about: str = ""


@dataclass(frozen=True)
class Confusion:
    """One class taken for another, and how often."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: a count, its share of the true class, and how strong its colour is (0 to 1)."""

    count: int
    share: float
    strength: float


@dataclass(frozen=True)
class Contents:
    """All that the page shows; texts are plain, charts are SVG."""

    title: str
    subject: Subject
    figures: tuple[Figure, ...]
    caution: str
    facts: Facts
    summary: Summary | None
    curves: tuple[tuple[str, str], ...]
    curves_told: str
    matrix: tuple[tuple[Cell, ...], ...]
    matrix_largest: float
    matrix_picture: str
    confusions: tuple[Confusion, ...]
    reliability: str
    reliability_told: str
    worst: tuple[Answer, ...]
    worst_told: str
    inside: Inside
    samples: str
    geometry: str
    seen: tuple[Seen, ...]
    skipped: tuple[Skipped, ...]
    skipped_more: int


def gather(subject: Subject) -> Contents:
    """Work out what the page shows."""
    evaluation, classifier = subject.evaluation, subject.classifier
    curves, curves_told = _curves(subject.run)
    matrix, largest = _matrix(evaluation)
    reliability, reliability_told = _reliability(evaluation)
    worst, worst_told = worst_answers(classifier, subject.images, evaluation)
    return Contents(
        title=_title(subject),
        subject=subject,
        figures=_figures(subject),
        caution=_caution(subject),
        facts=provenance(classifier, subject.run, subject.metrics),
        summary=_summary(classifier),
        curves=curves,
        curves_told=curves_told,
        matrix=matrix,
        matrix_largest=largest,
        matrix_picture="" if matrix else _matrix_picture(evaluation),
        confusions=_confusions(evaluation),
        reliability=reliability,
        reliability_told=reliability_told,
        worst=worst,
        worst_told=worst_told,
        inside=look_inside(classifier, subject.images.images[int(worst_first(evaluation)[0])]),
        samples=_samples(subject.run),
        geometry=geometry_text(classifier.geometry),
        seen=seen(subject.images, classifier.geometry),
        skipped=tuple(subject.skipped[:_MOST_SKIPPED]),
        skipped_more=max(0, len(subject.skipped) - _MOST_SKIPPED),
    )


def _samples(run: Run | None) -> str:
    file = None if run is None else run.path / SAMPLES
    return file_uri(file) if file is not None and file.is_file() else ""


def _title(subject: Subject) -> str:
    part = f" {subject.part.split(',')[0]}" if subject.part else ""
    return f"{100 * subject.evaluation.accuracy:.2f} % of the {subject.source}{part} right"


def _caution(subject: Subject) -> str:
    mirrored = " Each answer is the mean over the image and its mirror image." if subject.flips else ""
    return _who_took_part(subject) + mirrored


def _who_took_part(subject: Subject) -> str:
    if "used to choose" in subject.part:
        return (
            "These images were used to choose the weights, so the figures are a little too good: expect less on "
            "new images."
        )
    if subject.part:
        return "These images took no part in the training, nor in any choice."
    return "These images are not those of the training; the report takes them as they are."


def _figures(subject: Subject) -> tuple[Figure, ...]:
    evaluation, classifier = subject.evaluation, subject.classifier
    (low, high), macro = evaluation.interval, evaluation.macro()
    parameters = sum(parameter.numel() for parameter in classifier.network.parameters())
    found = [
        Figure(
            "accuracy",
            f"{100 * evaluation.accuracy:.2f} %",
            f"{evaluation.correct:,} of {evaluation.images:,} images; 95\N{NO-BREAK SPACE}% interval "
            f"{100 * low:.2f} to {100 * high:.2f}\N{NO-BREAK SPACE}%",
        ),
        Figure("F1", f"{100 * macro.f1:.2f} %", "mean over the classes"),
        Figure("loss", f"{evaluation.loss:.4f}", "mean cross entropy; 0 is perfect"),
        Figure("calibration error", f"{100 * evaluation.calibration().ece:.2f} %", "how far the probabilities are off"),
        Figure("parameters", f"{parameters:,}", f"{parameters * 4 / 2**20:.2f} MB as float32"),
    ]
    if evaluation.seconds:
        one = f"; one alone takes {evaluation.milliseconds:.2g}\N{NO-BREAK SPACE}ms" if evaluation.milliseconds else ""
        found.append(Figure("speed", f"{evaluation.images / evaluation.seconds:,.0f}", f"images a second{one}"))
    return tuple(found)


def _summary(classifier: Classifier) -> Summary | None:
    try:
        return summarize(classifier.network, classifier.geometry.shape, len(classifier.classes))
    except NeocogError:
        # A network of the user's own may take an image only through code that a trace cannot follow.
        return None


def _curves(run: Run | None) -> tuple[tuple[tuple[str, str], ...], str]:
    history = run.history if run is not None else []
    if not history:
        return (), "There is no history: the weights stand alone."
    return tuple((f"{figure.capitalize()} by epoch", _curve(history, figure)) for figure in ("loss", "accuracy")), (
        "Training figures are means over the epoch, on augmented images and while the weights change; validation "
        "figures are taken after it. Where training goes on improving and validation does not, the network overfits."
    )


def _curve(history: Sequence[dict[str, Any]], figure: str) -> str:
    written = percent if figure == "accuracy" else plain
    lines, told = [], []
    for part, name in (("train", "training"), ("valid", "validation")):
        values = [float(row.get(f"{part}_{figure}", math.nan)) for row in history]
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            lines.append(Line(list(enumerate(values, start=1)), part))
            told.append(f"{name} from {written(finite[0])} to {written(finite[-1])}")
    numbers = [value for line in lines for _, value in line.points if math.isfinite(value)] or [0.0, 1.0]
    spread = (max(numbers) - min(numbers)) or abs(numbers[0]) or 1.0
    low = max(0.0, min(numbers) - spread * 0.05)
    high = max(numbers) + spread * 0.05
    y = Axis(figure, low, min(high, 1.0) if figure == "accuracy" else high, written)
    x = Axis("epoch", 1.0, float(max(len(history), 2)), plain, whole=True)
    return line_chart(lines, x, y, told=f"{figure} over {len(history)} epochs: {', '.join(told)}")


def _matrix(evaluation: Evaluation) -> tuple[tuple[tuple[Cell, ...], ...], float]:
    """Give the cells of the confusion matrix, none where it is too large, and the largest share of a mistake."""
    counts = evaluation.confusion
    if len(counts) > MOST_IN_MATRIX:
        return (), 0.0
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    off = [shares[row, column] for row in range(len(counts)) for column in range(len(counts)) if row != column]
    largest = max(off, default=0.0)
    return tuple(
        tuple(
            Cell(
                int(counts[row, column]),
                float(shares[row, column]),
                float(shares[row, column] if row == column else shares[row, column] / (largest or 1)),
            )
            for column in range(len(counts))
        )
        for row in range(len(counts))
    ), float(largest)


def _matrix_picture(evaluation: Evaluation) -> str:
    title = f"{100 * evaluation.accuracy:.2f} % of {evaluation.images:,} images right"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "confusion.png"
        return file_uri(plot_confusion(evaluation.confusion, evaluation.classes, file, title=title))


def _confusions(evaluation: Evaluation) -> tuple[Confusion, ...]:
    totals = dict(zip(evaluation.classes, evaluation.confusion.sum(axis=1).tolist(), strict=True))
    found = evaluation.confusions(_MOST_CONFUSIONS)
    return tuple(Confusion(true, said, count, count / totals[true]) for true, said, count in found)


def _reliability(evaluation: Evaluation) -> tuple[str, str]:
    calibration = evaluation.calibration()
    bins = [
        (found.confidence, found.accuracy, found.count)
        for found in calibration.bins
        if found.confidence is not None and found.accuracy is not None
    ]
    sure = calibration.confidence
    lean = "too sure of itself" if sure > evaluation.accuracy else "less sure than it could be"
    told = (
        f"On average the network is {100 * sure:.2f} % sure and {100 * evaluation.accuracy:.2f} % right"
        f"{f': it is {lean}' if calibration.ece > 0.01 else ''}. The expected calibration error, the mean distance "
        f"between the two over bins of confidence, is {100 * calibration.ece:.2f} % (Guo et al., 2017)."
    )
    return reliability_chart(bins, told=told), told


def most_classes(evaluation: Evaluation) -> tuple[Any, ...]:
    """Give the figures of the classes in their order; of very many, those with the lowest F1."""
    found = evaluation.per_class()
    if len(found) <= _MOST_CLASSES:
        return tuple(found)
    return tuple(sorted(found, key=lambda figures: figures.f1 if figures.f1 is not None else 2.0)[:_MOST_CLASSES])
