"""An evaluation as text for the terminal: lines and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from neocog.evaluation.answers import Evaluation
from neocog.evaluation.classes import ClassFigures, macro_figures
from neocog.printing import accuracy_text, cut, table

_CONFUSIONS = 5
_WIDEST_NAME = 32  # columns
# Below this error the probabilities can be used as they are; from fewer images an error itself is hardly known.
_SMALL_ERROR, _FEW_IMAGES = 0.02, 500


def evaluation_text(evaluation: Evaluation, about: str) -> str:
    """Say all of an evaluation: figures, classes, confusions. `about` names the images."""
    # Long names would push the figures out of sight.
    evaluation = replace(evaluation, classes=tuple(cut(name, _WIDEST_NAME) for name in evaluation.classes))
    classes = evaluation.per_class()
    parts = [
        f"{about}: accuracy {accuracy_text(evaluation.accuracy, evaluation.images, evaluation.interval)}, "
        f"loss {evaluation.loss:.4f}",
        f"macro        {macro_text(classes)}",
        f"calibration  {calibration_text(evaluation)}",
        *([f"speed        {speed_text(evaluation)}"] if evaluation.seconds else []),
        "",
        class_table(evaluation, classes),
    ]
    confused = confusion_text(evaluation)
    return "\n".join([*parts, *(["", confused] if confused else [])])


def macro_text(classes: Sequence[ClassFigures]) -> str:
    """Give the means over the classes in a line."""
    macro = macro_figures(classes)
    area = f", AUC {macro.auc:.4f}" if macro.auc is not None else ""
    return (
        f"precision {100 * macro.precision:.2f} %, recall {100 * macro.recall:.2f} %, F1 {100 * macro.f1:.2f} %{area}: "
        "means over the classes"
    )


def calibration_text(evaluation: Evaluation) -> str:
    """Give the expected calibration error, and say what it means."""
    found = evaluation.calibration()
    sure = f"the answers are {100 * found.confidence:.1f} % sure and {100 * found.accuracy:.1f} % right"
    if found.ece <= _SMALL_ERROR:
        meaning = "the probabilities can be taken as they are"
    elif found.confidence > found.accuracy:
        meaning = "surer than right"
    else:
        meaning = "less sure than right"
    few = "; of few images, so a rough figure" if evaluation.images < _FEW_IMAGES else ""
    scaled = f", temperature {evaluation.temperature:.3f}" if evaluation.temperature != 1 else ""
    return f"ECE {100 * found.ece:.2f} %{scaled}: on average {sure}, {meaning}{few}"


def speed_text(evaluation: Evaluation) -> str:
    """Say how many images went through in a second, and how long one alone takes."""
    rate = evaluation.images / evaluation.seconds if evaluation.seconds else 0.0
    alone = f"; one image alone takes {evaluation.milliseconds:.3g} ms (median)" if evaluation.milliseconds else ""
    return f"{rate:,.0f} images a second{alone}"


def class_table(evaluation: Evaluation, classes: Sequence[ClassFigures]) -> str:
    """Give a row a class: its figures, and what its images are most often taken for."""
    rows = []
    for index, (found, counts) in enumerate(zip(classes, evaluation.confusion, strict=True)):
        others = counts.copy()
        others[index] = 0
        worst = f"{evaluation.classes[int(others.argmax())]} ({others.max()})" if others.any() else ""
        shares = (found.precision, found.recall, found.f1)
        area = f"{found.auc:.4f}" if found.auc is not None else ""
        rows.append((found.name, f"{found.images:,}", f"{found.right:,}", *map(_percent, shares), area, worst))
    heads = ("class", "images", "right", "precision", "recall", "F1", "AUC", "most often taken for")
    return table(heads, rows, right=heads[1:-1])


def confusion_text(evaluation: Evaluation) -> str:
    """Name what is confused most often; empty where there is no mistake."""
    found = evaluation.confusions(_CONFUSIONS)
    if not found:
        return ""
    wrong = evaluation.images - evaluation.correct
    noun = "mistake" if wrong == 1 else "mistakes"
    return f"{wrong:,} {noun}; most often " + ", ".join(f"{true} taken for {said} ({n})" for true, said, n in found)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
