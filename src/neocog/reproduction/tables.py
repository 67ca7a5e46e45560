"""The tables of the results: whole and short, as Markdown and for the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from neocog.reproduction.figures import FIGURES
from neocog.reproduction.published import PUBLISHED, Claim, Published
from neocog.reproduction.results import Result, Results
from neocog.reproduction.verdict import Sample, Verdict, judge
from neocog.reproduction.wording import (
    HEADS,
    Language,
    label,
    number_text,
    ours_text,
    published_text,
    range_text,
    verdict_text,
)

POOLING = ("bootcamp-cnn", "bootcamp-cnn-stride")
SHIFT = ("bootcamp-cnn", "mlp")
TEST_MARK, ASSUMED_MARK = "¹", "²"
_RIGHT = {"published", "ours", "range", "seeds", "parameters", "epochs", "seconds"}


@dataclass(frozen=True)
class Row:
    """A claim of a recipe beside the values of our runs."""

    entry: Published
    claim: Claim
    runs: tuple[Result, ...]
    sample: Sample
    verdict: Verdict

    @property
    def first(self) -> bool:
        """Whether this is the headline of its recipe."""
        return self.claim is self.entry.claims[0]

    def cells(self, language: Language = "en") -> dict[str, str]:
        """Give the cells of the row by the keys of `HEADS`; what belongs to the recipe stands in its first row."""
        goal = self.entry.goal
        note = f" ({self.claim.note})" if self.claim.note and language == "en" else ""
        cells = {
            "figure": label(self.claim, language) + note,
            "published": published_text(self.claim, goal=goal, language=language),
            "ours": ours_text(self.claim, self.sample),
            "range": range_text(self.claim, self.sample),
            "verdict": verdict_text(
                self.claim, self.verdict, seeds=len(self.runs), asked=self.entry.seeds, language=language
            ),
        }
        return cells | (self._of_recipe() if self.first else {})

    def _of_recipe(self) -> dict[str, str]:
        return {
            "recipe": f"`{self.entry.name}`{self.marks}",
            "seeds": str(len(self.runs)),
            "parameters": _mean_text(self.runs, "parameters"),
            "epochs": _mean_text(self.runs, "epochs"),
            "seconds": seconds_text(self.runs),
        }

    @property
    def marks(self) -> str:
        """The marks of the recipe, a blank before them; empty where there is none."""
        marks = [TEST_MARK] if any(run.validated_on_test for run in self.runs) else []
        marks += [ASSUMED_MARK] if self.entry.assumed else []
        # Side by side without a blank they would read as a twelve.
        return "".join(f" {mark}" for mark in marks)


def rows(results: Results, names: Iterable[str] = tuple(PUBLISHED)) -> Iterator[Row]:
    """Give a row a claim for every recipe of `names` that has runs, in the order of `names`."""
    for name in names:
        entry, runs = PUBLISHED.get(name), tuple(results.of(name))
        if entry is None or not runs:
            continue
        for claim in entry.claims:
            values = tuple(run.figures[claim.figure] for run in runs if claim.figure in run.figures)
            if values:
                images = min(run.images(FIGURES[claim.figure].part) for run in runs)
                yield Row(entry, claim, runs, Sample(values), judge(claim, values, goal=entry.goal, images=images))


def full_table(results: Results) -> str:
    """Give the whole table as Markdown: a row a claim."""
    columns = tuple(HEADS["en"])
    return markdown(columns, [_line(row, columns) for row in rows(results)])


def short_table(results: Results, language: Language = "en") -> str:
    """Give the short table as Markdown, in English or Korean: a row a recipe, its headline."""
    columns = ("recipe", "figure", "published", "ours", "seeds", "verdict")
    chosen = [row for row in rows(results) if row.first]
    return markdown(columns, [_line(row, columns, language) for row in chosen], language)


def _line(row: Row, columns: Sequence[str], language: Language = "en") -> list[str]:
    cells = row.cells(language)
    return [cells.get(column, "") for column in columns]


def pooling_table(results: Results) -> str:
    """Give the comparison of pooling and stride as Markdown; empty where one of the networks has no runs."""
    heads = ("recipe", "test accuracy", "test loss", "parameters", "MACs", "epochs", "seconds", "seeds")
    lines = []
    for name in POOLING:
        runs = results.of(name)
        if not runs:
            return ""
        accuracy, loss = (Sample(tuple(run.figures[key] for run in runs)) for key in ("test_accuracy", "test_loss"))
        lines.append(
            [
                f"`{name}`",
                ours_text(Claim("test_accuracy"), accuracy),
                ours_text(Claim("test_loss"), loss),
                _mean_text(runs, "parameters"),
                f"{runs[0].macs:,}",
                _mean_text(runs, "epochs"),
                seconds_text(runs),
                str(len(runs)),
            ]
        )
    return markdown(heads, lines)


def shift_table(results: Results) -> str:
    """Give the accuracies under shift as Markdown: a row a network, a column a distance; empty without them."""
    tables = results.shift_tables()
    if not set(SHIFT) <= set(tables):
        return ""
    most = min(len(line) for lines in tables.values() for line in lines)
    heads = ("recipe", *(f"{distance} px" for distance in range(most)), "seeds")
    lines = []
    for name in SHIFT:
        means = [statistics.fmean(column) for column in zip(*tables[name], strict=True)]
        cells = [number_text(mean, "percent") for mean in means[:most]]
        lines.append([f"`{name}`", *cells, str(len(tables[name]))])
    return markdown(heads, lines)


def markdown(columns: Sequence[str], lines: Iterable[Sequence[str]], language: Language = "en") -> str:
    """Give a Markdown table; the columns that hold numbers are flush right."""
    heads = [HEADS[language].get(column, column) for column in columns]
    flush = ["---" if column in ("recipe", "figure", "verdict") else "---:" for column in columns]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, flush, *lines))


def _mean_text(runs: Sequence[Result], key: str) -> str:
    return number_text(statistics.fmean(run.figures[key] for run in runs), "count")


def seconds_text(runs: Sequence[Result]) -> str:
    """Give the mean seconds of the runs."""
    return f"{statistics.fmean(run.seconds for run in runs):,.0f}"
