"""A comparison as text: its lines and tables, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from neocog.comparison.compare import Comparison, Pair
from neocog.printing import table

LIMIT = 0.05
_MOST = 20

Rows = tuple[Sequence[str], Sequence[Sequence[str]], Sequence[str]]


def comparison_text(found: Comparison) -> str:
    """Say all of a comparison: figures, tests, and the first of the images on which the answers differ."""
    lines = [about_text(found), *(f"note: {note}" for note in found.images.notes)]
    for heads, rows, right in (figures_rows(found), pairs_rows(found)):
        lines += ["", table(heads, rows, right=right)]
    return "\n".join([*lines, "", *cautions(found), "", *_differences(found)])


def about_text(found: Comparison) -> str:
    """Say which images the comparison is about."""
    images = found.images
    return f"{images.source}{', ' if images.part else ''}{images.part}: {len(images.names):,} images, the same for all"


def figures_rows(found: Comparison) -> Rows:
    """Give the heads and a row a classifier, and which heads are flush right."""
    heads = ("classifier", "accuracy", "95 % interval", "loss", "ECE", "parameters", "ms an image")
    rows = []
    for item in found.compared:
        evaluation = item.evaluation
        low, high = evaluation.interval
        rows.append(
            (
                item.name,
                f"{100 * evaluation.accuracy:.2f} %",
                f"{100 * low:.2f} to {100 * high:.2f} %",
                f"{evaluation.loss:.4f}",
                f"{100 * evaluation.calibration().ece:.2f} %",
                f"{item.parameters:,}",
                f"{evaluation.milliseconds:.3g}" if evaluation.milliseconds else "",
            )
        )
    return heads, rows, heads[1:]


def pairs_rows(found: Comparison) -> Rows:
    """Give the heads and a row a pair, with McNemar's test in numbers and in words, and which heads are flush right."""
    several = len(found.pairs) > 1
    rows = []
    for pair in found.pairs:
        test = pair.test
        how = "exact" if test.exact else f"chi-square {test.statistic:.2f}"
        values = (how, p_text(test.p), *([p_text(pair.adjusted)] if several else []))
        rows.append((pair.first, pair.second, f"{test.first_only:,}", f"{test.second_only:,}", *values, verdict(pair)))
    right = ("first alone right", "second alone right", "McNemar", "p", *(["p by Holm"] if several else []))
    return ("first", "second", *right, "in words"), rows, right


def verdict(pair: Pair) -> str:
    """Say in words whether the difference of a pair is more than chance."""
    if pair.test.first_only == pair.test.second_only:
        return "no difference"
    if pair.adjusted >= LIMIT:
        return "the difference may well be chance"
    better = pair.first if pair.test.first_only > pair.test.second_only else pair.second
    return f"{better} is better, by more than chance explains"


def cautions(found: Comparison) -> Iterator[str]:
    """Say what the tests do not."""
    yield (
        "The test is about these weights. The same recipe with another seed gives others, which may differ as much: "
        "neocog reproduce --seeds."
    )
    if len(found.pairs) > 1:
        yield f"Among {len(found.pairs)} pairs a small p is more easily chance: the words go by Holm's correction."
    chosen = [found.compared[place].name for place in found.images.chosen]
    if chosen:
        yield f"By such images the weights of {', '.join(chosen)} were chosen, so their accuracy is a little too good."


def differences_about(found: Comparison, shown: int) -> str:
    """Say on how many images the answers differ, and that `shown` of them are shown where these are fewer."""
    count = len(found.differences)
    if not count:
        return "They give the same answer to every image."
    more = f"; the {shown} farthest apart, all with --format json" if count > shown else ""
    return f"They differ on {count:,} {'image' if count == 1 else 'images'}{more}:"


def inside(file: str, folder: str) -> str:
    """Leave the folder out of the path of a file in it."""
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


def p_text(p: float) -> str:
    """Write a p-value: two digits that count, and no zero where it is merely small."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _differences(found: Comparison) -> list[str]:
    shown = found.differences[:_MOST]
    about = differences_about(found, len(shown))
    if not shown:
        return [about]
    heads = ("image", "is", *(item.name for item in found.compared))
    rows = []
    for item in shown:
        answers = (f"{label} {100 * value:.0f} %" for label, value in item.answers)
        rows.append((inside(item.name, found.images.source), item.label, *answers))
    return [about, table(heads, rows)]
