"""What the command line prints: tables that fit the terminal, and answers as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, chop_cells
from rich.console import Console

if TYPE_CHECKING:
    from neocog.classifier import Prediction, Unreadable

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

# Answers that are looked at before the first one is printed, for the widths of the columns; fewer than a batch.
_AHEAD = 64
_WIDEST_NAME = 48
_LEAST_LAST = 20


def say(text: str) -> None:
    """Print a text as it is: no markup, no line broken."""
    out.print(text, markup=False)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> str:
    """Give a table as text; columns whose head is in `right` are flush right.

    In a terminal the last column is broken between words so that all fits; a pipe gets one line a row.
    """
    lines = [tuple(heads), *map(tuple, rows)]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(heads))]
    room = out.width - sum(widths[:-1]) - 2 * len(widths[1:])
    folds = out.is_terminal and room >= _LEAST_LAST
    flush = {column for column, head in enumerate(heads) if head in set(right)}
    printed = []
    for line in lines:
        parts = _folded(line[-1], room) if folds else [line[-1]]
        for number, part in enumerate(parts):
            cells = [*line[:-1], part] if number == 0 else [*[""] * (len(line) - 1), part]
            printed.append(
                "  ".join(
                    _padded(cell, width, right=column in flush)
                    for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
                ).rstrip()
            )
    return "\n".join(printed)


class Answers:
    """Prints answers as they come and counts them: `good` images and `bad` files."""

    def __init__(self) -> None:
        self.good = self.bad = 0

    def counted(self, answers: Iterable[Prediction | Unreadable]) -> Iterator[tuple[Prediction | None, Any]]:
        """Give each answer as (prediction, None) or (None, unreadable), counted."""
        from neocog.classifier import Unreadable

        for answer in answers:
            if isinstance(answer, Unreadable):
                self.bad += 1
                yield None, answer
            else:
                self.good += 1
                yield answer, None

    def print_table(self, answers: Iterable[Prediction | Unreadable], top: int) -> None:
        """Print a line a file, in columns wide enough for the first ones; what cannot be read goes to stderr."""
        waiting = iter(answers)
        first = list(islice(waiting, _AHEAD))
        # a column never gets narrower, and seldom wider, while the lines come
        name = min(max((cell_len(str(answer.source)) for answer in first), default=0), _WIDEST_NAME)
        label = max((cell_len(_label(answer)) for answer in first if hasattr(answer, "label")), default=0)
        for answer, failed in self.counted(chain(first, waiting)):
            if answer is None:
                err.print(f"{_padded(str(failed.source), name)}  unreadable: {failed.reason}", markup=False)
                continue
            others = "  ".join(f"{other} {100 * value:.1f} %" for other, value in answer.top[1:])
            cells = [_padded(str(answer.source), name), _padded(_label(answer), label)]
            say("  ".join([*cells, f"{100 * answer.probability:5.1f} %", f" {others}"]).rstrip())

    def print_json(self, answers: Iterable[Prediction | Unreadable], top: int) -> None:
        """Print one JSON object a line."""
        for answer, failed in self.counted(answers):
            if answer is None:
                record: dict[str, Any] = {"file": failed.source, "error": failed.reason}
            else:
                record = {
                    "file": answer.source,
                    "label": answer.label,
                    "probability": answer.probability,
                    "unsure": answer.unsure,
                    "flips": answer.flips,
                    "top": [{"label": label, "probability": value} for label, value in answer.top],
                }
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")

    def print_csv(self, answers: Iterable[Prediction | Unreadable], top: int) -> None:
        """Print CSV with a header: file, label, unsure, label1, probability1, …, error."""
        writer = csv.writer(sys.stdout, lineterminator="\n")
        pairs = [name for place in range(1, top + 1) for name in (f"label{place}", f"probability{place}")]
        writer.writerow(["file", "label", "unsure", *pairs, "error"])
        for answer, failed in self.counted(answers):
            if answer is None:
                writer.writerow([failed.source, "", "", *[""] * len(pairs), failed.reason])
                continue
            values = [item for pair in answer.top for item in pair]
            writer.writerow([answer.source, answer.label, str(answer.unsure).lower(), *values, ""])


def accuracy_text(accuracy: float, images: int, interval: Sequence[float]) -> str:
    """Put an accuracy (0 to 1) with its 95 % interval into words."""
    low, high = interval
    noun = "image" if images == 1 else "images"
    return f"{100 * accuracy:.2f} % of {images:,} {noun} (95 % interval {100 * low:.2f} to {100 * high:.2f} %)"


def cut(text: str, columns: int) -> str:
    """Cut a text to at most `columns` columns of a terminal, ending in "…" where it is cut."""
    return text if cell_len(text) <= columns else chop_cells(text, columns - 1)[0].rstrip() + "…"


def _label(answer: Any) -> str:
    return f"unsure ({answer.label}?)" if answer.unsure else str(answer.label)


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * max(0, width - cell_len(text))
    return blanks + text if right else text + blanks


def _folded(text: str, width: int) -> list[str]:
    """Break a text between words, and words that are wider than `width` within."""
    lines = [""]
    for word in text.split():
        for piece in chop_cells(word, width):
            together = f"{lines[-1]} {piece}".lstrip()
            if cell_len(together) <= width:
                lines[-1] = together
            else:
                lines.append(piece)
    return lines
