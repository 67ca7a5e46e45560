"""Advice as a text and as figures that JSON can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from neocog.printing import table
from neocog.transfer.advice import LARGE, Advice, Measured
from neocog.transfer.recommending import Recommendation

# a class this many times as large as another one is worth a word
_IMBALANCE = 3.0
_SHOWN = 10
_CONFUSIONS = 3


def advice_text(advice: Advice, recommended: Recommendation) -> str:
    """Say what was measured and what follows."""
    parts = [_images(advice), _likeness(advice)]
    if advice.measured is not None:
        parts += [_growth(advice, advice.measured)]
    parts += [_confusions(advice), _recommendation(recommended)]
    return "\n\n".join(part for part in parts if part)


def advice_figures(advice: Advice, recommended: Recommendation) -> dict[str, Any]:
    """Give all of it as plain values."""
    measured = advice.measured
    found: dict[str, Any] = {
        "source": advice.source,
        "images": advice.images,
        "counts": dict(zip(advice.classes, advice.counts, strict=True)),
        "looked_at": advice.looked_at,
        "same_pixels": advice.same,
        "chance": advice.chance,
        "pixels": _figure(advice.pixels),
        "case": advice.case,
        "notes": list(advice.notes),
        "missing": advice.missing,
        "procedure": recommended.procedure,
        "reasons": list(recommended.reasons),
        "minutes": recommended.minutes,
        "recipe": recommended.recipe.text(),
        "confused": [{"class": true, "answer": said, "share": share} for true, said, share in most_confused(advice)],
    }
    if measured is not None:
        found["network"] = measured.network
        found["image_size"] = list(measured.image_size)
        found["levels"] = [{"layer": level.layer, **_figure(level.probe)} for level in measured.levels]
        found["neighbours"] = _figure(measured.neighbours)
        found["learning_curve"] = [
            {"images_per_class": point.images, "accuracy": point.accuracy, "interval95": list(point.interval)}
            for point in measured.curve
        ]
        found["forecast"] = [
            {"images_per_class": images, "accuracy": accuracy, "interval95": [low, high]}
            for images, accuracy, low, high in _forecasts(measured)
        ]
    return found


def most_confused(advice: Advice) -> list[tuple[str, str, float]]:
    """Give the pairs (true class, answer, share of the class) that are confused most, out of fold."""
    shares = advice.confusion.copy()
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(advice.classes)) for place in order]
    return [(advice.classes[row], advice.classes[column], float(shares[row, column])) for row, column in pairs
            if shares[row, column] > 0]  # fmt: skip


def _images(advice: Advice) -> str:
    largest, smallest = int(np.argmax(advice.counts)), int(np.argmin(advice.counts))
    least, most = min(advice.counts), max(advice.counts)
    each = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    size = "large" if advice.large else "small"
    lines = [
        f"{advice.source}: {advice.images:,} training images of {len(advice.classes)} classes, "
        f"{each} of each: {size} ({LARGE:,} images a class and more count as large).",
    ]
    if advice.counts[largest] >= _IMBALANCE * advice.counts[smallest]:
        lines.append(
            f"The classes are uneven: {advice.classes[largest]} has {advice.counts[largest]:,} images, "
            f"{advice.classes[smallest]} {advice.counts[smallest]:,}. Look at the recall of the small ones, and "
            'try class_weights = "balanced".'
        )
    if advice.looked_at < advice.images:
        lines.append(f"{advice.looked_at:,} of them were looked at.")
    if advice.same:
        lines.append(f"{advice.same:,} of them are copies of others, pixel by pixel: neocog audit shows them.")
    return "\n".join([*lines, *(f"note: {note}" for note in advice.notes)])


def _likeness(advice: Advice) -> str:
    measured = advice.measured
    rows = [("always the largest class", _percent(advice.chance), "")]
    rows.append(("linear probe of small pixels", *_accuracy(advice.pixels)))
    if measured is None:
        head = "No trained network could be asked, so this says little about how hard the classes are:"
        return f"{head}\n{table(('answers by', 'accuracy', '95 % interval'), rows)}\n{advice.missing}"
    for level in measured.levels[:-1]:
        rows.append((f"linear probe of features after {level.layer}", *_accuracy(level.probe)))
    rows.append(("linear probe of the last features", *_accuracy(measured.last)))
    rows.append(("5 nearest neighbours, last features", *_accuracy(measured.neighbours)))
    height, width = measured.image_size
    lines = [
        f"How well the features of {measured.network}, trained on ImageNet, tell them apart at {height}x{width} "
        "(five-fold cross-validation inside the training images):",
        table(("answers by", "accuracy", "95 % interval"), rows, right=("accuracy",)),
    ]
    if advice.similar:
        lines.append("The last features serve best: to this network the images are like ImageNet's.")
    else:
        layer = measured.levels[advice.best_level].layer
        lines.append(
            f"The features after {layer} serve about as well as the last ones or better: to this network the images "
            "are unlike ImageNet's."
        )
    return "\n".join([*lines, f"Of the four cases it is this one: {advice.case}."])


def _growth(advice: Advice, measured: Measured) -> str:
    points = measured.curve[-_SHOWN:]
    rows = [
        (f"{point.images:,.0f}", _percent(point.accuracy), _interval(point.interval), f"{point.total:,}")
        for point in points
    ]
    heads = ("images a class", "accuracy", "95 % interval", "images asked")
    lines = ["How it grows with the number of images (a head on the last features):", table(heads, rows, right=heads)]
    for images, accuracy, low, high in _forecasts(measured):
        lines.append(
            f"With {images:,.0f} images a class a head on frozen features would be right in about "
            f"{_percent(accuracy)} ({_interval((low, high))}), if the new images are like these."
        )
    if measured.forecast is None:
        lines.append("These points are too few or too uneven to say what more images would bring.")
    return "\n".join(lines)


def _forecasts(measured: Measured) -> list[tuple[float, float, float, float]]:
    if measured.forecast is None:
        return []
    largest = measured.curve[-1].images
    return [
        (images, measured.forecast.accuracy(images), *measured.forecast.interval(images))
        for images in (2 * largest, 5 * largest)
    ]


def _confusions(advice: Advice) -> str:
    pairs = most_confused(advice)
    if not pairs:
        return ""
    words = "; ".join(f"{_percent(share)} of {true} taken for {said}" for true, said, share in pairs)
    return f"Confused most: {words}. More images of these would help most."


def _recommendation(recommended: Recommendation) -> str:
    minutes = recommended.minutes
    cost = "" if minutes is None else f", about {'a minute' if minutes < 1.5 else f'{minutes:,.0f} minutes'} here"
    return "\n".join([f"Advice: {recommended.procedure}{cost}.", *recommended.reasons])


def _figure(found: Any) -> dict[str, Any]:
    return {"accuracy": found.accuracy, "interval95": list(found.interval)}


def _accuracy(found: Any) -> tuple[str, str]:
    return _percent(found.accuracy), _interval(found.interval)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _interval(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"
