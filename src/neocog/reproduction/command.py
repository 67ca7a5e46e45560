"""What `neocog reproduce` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neocog.errors import RecipeError
from neocog.printing import err, say, table
from neocog.reproduction.published import PUBLISHED, check_names, reproducible
from neocog.reproduction.wording import label, published_text

if TYPE_CHECKING:
    from neocog.reproduction import tables
    from neocog.reproduction.results import Results

_FAILED, _INTERRUPTED = 1, 130


def reproduce_command(names: Sequence[str], every: bool, seeds: int, out: Path) -> int:
    """Carry out the command, or list what it could do where nothing is asked for; gives the exit code.

    Raises `RecipeError` for names and numbers that cannot be meant.
    """
    if not names and not every:
        say(_claims_table())
        say("\nTrain one with: neocog reproduce NAME   all of them with three seeds: neocog reproduce --all --seeds 3")
        return 0
    if names and every:
        raise RecipeError(f"give names or --all, not both: {' '.join(names)} --all.")
    chosen = check_names(names, reproducible()) if names else reproducible()
    if seeds < 1:
        raise RecipeError(f"--seeds {seeds}: expected the number of seeds, at least 1.")
    # torch takes a while to import; a mistake in the names need not wait for it.
    from neocog.reproduction.work import reproduce

    done = reproduce(chosen, seeds=seeds, out=out, tell=lambda text: err.print(text, markup=False))
    if done.results is not None:
        _print_results(done.results, chosen, out)
    for failure in done.failures:
        err.print(f"failed: {failure}", style="red", markup=False)
    if done.interrupted:
        say("Stopped. The same command goes on from here.")
        return _INTERRUPTED
    return _FAILED if done.failures else 0


def _claims_table() -> str:
    lines = []
    for name in reproducible():
        entry = PUBLISHED[name]
        for claim in entry.claims:
            shown = published_text(claim, goal=entry.goal)
            lines.append((name, label(claim), shown, claim.note or entry.source))
    return table(("recipe", "figure", "published", "what is known of it"), lines, right=("published",))


def _print_results(results: Results, names: Sequence[str], out: Path) -> None:
    from neocog.reproduction import report, tables
    from neocog.reproduction.results import RESULTS

    found = list(tables.rows(results, names))
    if not found:
        return
    lines = []
    for row in found:
        cells = row.cells()
        lines.append((row.entry.name, label(row.claim), *(cells[key] for key in ("published", "ours", "verdict"))))
    say(table(("recipe", "figure", "published", "ours", "verdict"), lines, right=("published", "ours")))
    keys = ("seeds", "parameters", "epochs", "seconds")
    lines = [(row.entry.name, *(row.cells()[key] for key in keys), _remarks(row)) for row in found if row.first]
    say("\n" + table(("recipe", *keys, "mind"), lines, right=keys))
    say(f"\nseconds: of one run, on {results.machine.processor}, {results.machine.cores} cores")
    say(f"report   {out / report.REPORT}\nfigures  {out / RESULTS}")


def _remarks(row: tables.Row) -> str:
    remarks = ["validated on the test set"] if any(run.validated_on_test for run in row.runs) else []
    if row.entry.assumed:
        remarks.append(f"assumed: {', '.join(row.entry.assumed)}")
    return "; ".join(remarks)
