"""Run: the folder that a training leaves behind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.errors import RunError
from neocog.files import write_whole
from neocog.recipe import Recipe

if TYPE_CHECKING:
    from neocog.classifier import Classifier

RECIPE, WEIGHTS, CHECKPOINT = "recipe.toml", "best.safetensors", "last.safetensors"
HISTORY, METRICS, LOG, SKIPPED = "history.csv", "metrics.json", "log.txt", "skipped.csv"
REPORT, CHOICE = "report.html", "choice.json"
_NOT_NUMBERS = {"stage"}
_COUNTS = {"epoch"}


class Run:
    """A folder with the effective recipe, the weights, the history and the figures of one training.

    Raises `RunError` where `path` is not such a folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise RunError(
                f"there is no run {str(path)!r}: expected the folder of a run, such as runs/mnist-001.{_others()}"
            )
        if not (self.path / RECIPE).is_file():
            raise RunError(f"{path} is not a run: it has no {RECIPE}.{_others()}")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def recipe(self) -> Recipe:
        """The effective recipe: every choice explicit; training from it gives the same run again."""
        return Recipe.from_text((self.path / RECIPE).read_text(encoding="utf-8"), source=str(self.path / RECIPE))

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row an epoch: stage, epoch, losses, accuracies, learning rate."""
        file = self.path / HISTORY
        if not file.is_file():
            return []
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                return [{key: _value(key, value) for key, value in row.items()} for row in csv.DictReader(lines)]
        except (ValueError, TypeError, csv.Error) as error:
            raise RunError(f"{file} is damaged ({error}). Restore it, or train anew.") from error

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of a finished run; empty where it is not finished."""
        file = self.path / METRICS
        if not file.is_file():
            return {}
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RunError(f"{file} is damaged ({error}). Delete it and run: neocog resume {self.path}") from error

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """The files that were left out, and why: (path, reason)."""
        file = self.path / SKIPPED
        if not file.is_file():
            return []
        try:
            with file.open(encoding="utf-8", newline="", errors="surrogateescape") as lines:
                return [(row["path"], row["reason"]) for row in csv.DictReader(lines)]
        except (ValueError, KeyError, csv.Error) as error:
            raise RunError(f"{file} is damaged ({error}). Delete it: it is only for reading.") from error

    @property
    def finished(self) -> bool:
        """Whether the training came to its end and was evaluated."""
        return bool(self.metrics)

    def classifier(self, *, model: Any = None) -> Classifier:
        """Load the best weights; `model` is needed where the network is the user's own code."""
        from neocog.classifier import load

        return load(self.path, model=model)


def new_folder(name: str, out: Path | str | None, *, parent: Path | str = "runs") -> Path:
    """Make the folder of a new run: `out`, or the next free number under `runs`.

    Raises `RunError` where `out` has something in it already.
    """
    if out is not None:
        path = Path(out)
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            what = f" Go on with: neocog resume {path}" if (path / RECIPE).is_file() else ""
            raise RunError(
                f"{path} is not an empty folder; a run would overwrite what is there. Choose another --out.{what}"
            )
        _make(path)
        return path
    number = 1
    while True:
        path = Path(parent) / f"{name}-{number:03d}"
        if not path.exists():
            try:
                _make(path, exist_ok=False)
                return path
            except FileExistsError:
                pass
        number += 1


def runs_in(parent: Path | str = "runs") -> Iterator[Run]:
    """Give the runs under a folder, oldest first."""
    folder = Path(parent)
    if folder.is_dir():
        found = [path for path in folder.iterdir() if (path / RECIPE).is_file()]
        for path in sorted(found, key=lambda path: ((path / RECIPE).stat().st_mtime_ns, path.name)):
            yield Run(path)


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `history.csv`: numbers in the shortest form that reads back to the same bits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _text(row[key]) for key in columns if key in row} for row in rows)
    write_whole(folder / HISTORY, text.getvalue())


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _value(key: str, text: str) -> Any:
    if key in _NOT_NUMBERS:
        return text
    return int(text) if key in _COUNTS else float(text or "nan")


def _make(path: Path, *, exist_ok: bool = True) -> None:
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise RunError(f"cannot make the folder {path}: {error.strerror}. Choose another --out.") from error


def _others() -> str:
    names = [str(run.path) for run in runs_in()]
    return f" Runs here: {', '.join(names[-5:])}." if names else ""
