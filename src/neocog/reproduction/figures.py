"""The figures of a finished run that published ones are compared with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from neocog.run import LOG, Run

History = Sequence[Mapping[str, Any]]
Metrics = Mapping[str, Any]
Unit = Literal["percent", "loss", "count", "rise"]

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  (.*)")
_TOOK = re.compile(r"this took (?:(\d+) h )?(?:(\d+) min)? ?(?:(\d+) s)?")
_BEGUN = re.compile(r"neocog \S+, torch ")


@dataclass(frozen=True)
class Figure:
    """A figure of a run: how it is called in both languages, its unit, and how it is read.

    `part` is the set of images that an accuracy or an error is measured on. `read` takes the history and the
    metrics of a finished run and gives NaN where these have no such figure.
    """

    label: str
    korean: str
    unit: Unit
    part: Literal["valid", "test", ""]
    read: Callable[[History, Metrics], float]


def _lowest(history: History) -> int:
    """Give the index of the epoch with the lowest finite validation loss, -1 where there is none."""
    losses = [float(row.get("valid_loss", math.nan)) for row in history]
    finite = [place for place, loss in enumerate(losses) if math.isfinite(loss)]
    return min(finite, key=losses.__getitem__, default=-1)


def _at_lowest(column: str) -> Callable[[History, Metrics], float]:
    def read(history: History, metrics: Metrics) -> float:
        place = _lowest(history)
        return float(history[place][column]) if place >= 0 else math.nan

    return read


def _of(part: str, figure: str) -> Callable[[History, Metrics], float]:
    return lambda history, metrics: float(metrics.get(part, {}).get(figure, math.nan))


def _last_valid_accuracy(history: History, metrics: Metrics) -> float:
    return float(history[-1].get("valid_accuracy", math.nan)) if history else math.nan


def _best_valid_accuracy(history: History, metrics: Metrics) -> float:
    return max((float(row["valid_accuracy"]) for row in history if "valid_accuracy" in row), default=math.nan)


def _test_error(history: History, metrics: Metrics) -> float:
    test = metrics.get("test")
    # From the counts: 1 - 0.9905 is not the float that is nearest to 0.0095.
    return (test["images"] - test["correct"]) / test["images"] if test else math.nan


def _epoch_of_lowest_loss(history: History, metrics: Metrics) -> float:
    # Counted through all stages, each of which begins at epoch 1 again.
    place = _lowest(history)
    return place + 1 if place >= 0 else math.nan


def _overfitting(history: History, metrics: Metrics) -> float:
    """Give how far the last validation loss lies above the lowest, 0 unless the training loss fell meanwhile."""
    place = _lowest(history)
    if place < 0:
        return math.nan
    lowest, last = history[place], history[-1]
    fell = last["train_loss"] < lowest["train_loss"]
    return float(last["valid_loss"] / lowest["valid_loss"] - 1) if fell else 0.0


FIGURES = {
    "lowest_valid_loss": Figure(
        "lowest validation loss", "가장 낮은 검증 손실", "loss", "valid", _at_lowest("valid_loss")
    ),
    "accuracy_at_lowest_loss": Figure(
        "accuracy at the lowest loss", "손실이 가장 낮을 때의 정확도", "percent", "valid", _at_lowest("valid_accuracy")
    ),
    "best_valid_accuracy": Figure(
        "best validation accuracy", "가장 높은 검증 정확도", "percent", "valid", _best_valid_accuracy
    ),
    "last_valid_accuracy": Figure(
        "last validation accuracy", "마지막 검증 정확도", "percent", "valid", _last_valid_accuracy
    ),
    "valid_loss": Figure(
        "validation loss, evaluation mode", "검증 손실, 평가 모드", "loss", "valid", _of("valid", "loss")
    ),
    "valid_accuracy": Figure(
        "validation accuracy, evaluation mode", "검증 정확도, 평가 모드", "percent", "valid", _of("valid", "accuracy")
    ),
    "test_accuracy": Figure("test accuracy", "테스트 정확도", "percent", "test", _of("test", "accuracy")),
    "test_loss": Figure("test loss", "테스트 손실", "loss", "test", _of("test", "loss")),
    "test_error": Figure("test error", "테스트 오류율", "percent", "test", _test_error),
    "overfitting": Figure(
        "rise of the validation loss after its lowest", "가장 낮은 값 이후 검증 손실의 상승", "rise", "", _overfitting
    ),
    "epoch_of_lowest_loss": Figure(
        "epoch of the lowest validation loss", "검증 손실이 가장 낮은 에포크", "count", "", _epoch_of_lowest_loss
    ),
    "epochs": Figure("epochs", "에포크 수", "count", "", lambda history, metrics: float(len(history))),
    "parameters": Figure(
        "parameters", "파라미터 수", "count", "", lambda history, metrics: float(metrics["parameters"])
    ),
}


def read_figures(run: Run) -> dict[str, float]:
    """Give all figures of a finished run by their keys, without those that it does not have.

    Accuracies, errors and rises are fractions of 1. Raises `RunError` where a file of the run is damaged.
    """
    history, metrics = run.history, run.metrics
    found = {key: figure.read(history, metrics) for key, figure in FIGURES.items()}
    return {key: value for key, value in found.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Record:
    """What the log of a run says about how it was trained: `seconds` over all sessions, and the last one's place.

    `place` is such as "cpu, float32, channels_last, 2 threads"; `torch` is the version of PyTorch.
    """

    seconds: float
    place: str
    torch: str


def read_log(folder: Path) -> Record:
    """Read a run's log: the seconds of every session, and where the last one ran.

    A session that was killed has no line that says how long it took; there the time of its last line counts.
    """
    file = folder / LOG
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    lines = [match.groups() for match in map(_STAMP.fullmatch, text.splitlines()) if match]
    starts = [place for place, (_, said) in enumerate(lines) if _BEGUN.match(said)]
    sessions = [lines[start:end] for start, end in pairwise([*starts, len(lines)])]
    seconds = sum(_seconds(session) for session in sessions)
    said = [line for _, line in sessions[-1][:2]] if sessions else []
    torch = re.search(r"torch ([^,\s]+)", said[0]) if said else None
    place = said[1].partition(";")[0] if len(said) > 1 else ""
    return Record(seconds, place, torch[1] if torch else "")


def _seconds(session: Sequence[tuple[str | Any, ...]]) -> float:
    took = _TOOK.fullmatch(session[-1][1])
    if took:
        hours, minutes, seconds = (int(part or 0) for part in took.groups())
        return 3600 * hours + 60 * minutes + seconds
    first, last = (datetime.fromisoformat(session[place][0]) for place in (0, -1))
    return max((last - first).total_seconds(), 0.0)
