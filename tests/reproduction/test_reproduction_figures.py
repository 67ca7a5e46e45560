"""The figures of a run, read from its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.reproduction.small import epoch, run_folder

from neocog.reproduction.figures import FIGURES, read_figures, read_log

HISTORY = [epoch(1, 0.5, 0.4, 0.91), epoch(2, 0.3, 0.2, 0.95), epoch(3, 0.2, 0.3, 0.97), epoch(4, 0.1, 0.25, 0.96)]
METRICS = {
    "parameters": 61_706,
    "test": {"images": 10_000, "correct": 9_905, "accuracy": 0.9905, "loss": 0.04},
    "valid": {"images": 5_000, "correct": 4_800, "accuracy": 0.96, "loss": 0.21},
}


def test_every_figure_is_read(tmp_path: Path) -> None:
    found = read_figures(run_folder(tmp_path / "run", HISTORY, METRICS))
    assert found == {
        "lowest_valid_loss": 0.2,
        "accuracy_at_lowest_loss": 0.95,
        "best_valid_accuracy": 0.97,
        "last_valid_accuracy": 0.96,
        "valid_loss": 0.21,
        "valid_accuracy": 0.96,
        "test_accuracy": 0.9905,
        "test_loss": 0.04,
        "test_error": 0.0095,
        "overfitting": pytest.approx(0.25),
        "epoch_of_lowest_loss": 2,
        "epochs": 4,
        "parameters": 61_706,
    }
    assert set(found) == set(FIGURES)


def test_a_run_without_validation_and_test_has_fewer_figures(tmp_path: Path) -> None:
    history = [{"stage": "train", "epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 0.1}]
    found = read_figures(run_folder(tmp_path / "run", history, {"parameters": 7}))
    assert found == {"epochs": 1, "parameters": 7}


def test_an_epoch_whose_loss_is_not_finite_is_not_the_lowest(tmp_path: Path) -> None:
    history = [epoch(1, 1.0, float("nan"), 0.99), epoch(2, 1.0, 0.7, 0.8)]
    found = read_figures(run_folder(tmp_path / "run", history, METRICS))
    assert (found["lowest_valid_loss"], found["accuracy_at_lowest_loss"]) == (0.7, 0.8)


@pytest.mark.parametrize(
    ("history", "rise"),
    [
        ([epoch(1, 0.5, 0.4, 0.9), epoch(2, 0.4, 0.6, 0.9)], 0.5),
        # the training loss rose as well: that is no overfitting
        ([epoch(1, 0.5, 0.4, 0.9), epoch(2, 0.6, 0.6, 0.9)], 0),
        ([epoch(1, 0.5, 0.4, 0.9), epoch(2, 0.4, 0.3, 0.9)], 0),
    ],
)
def test_overfitting_is_a_rise_while_the_training_loss_falls(tmp_path: Path, history: list, rise: float) -> None:  # type: ignore[type-arg]
    assert read_figures(run_folder(tmp_path / "run", history, METRICS))["overfitting"] == pytest.approx(rise)


def begin(time: str) -> str:
    return (
        f"2026-01-02 {time}  neocog 0.1.0, torch 2.13.0+cpu, Python 3.11.7\n"
        f"2026-01-02 {time}  cpu, float32, channels_last, 2 threads; 60000 training images\n"
    )


@pytest.mark.parametrize(
    ("log", "seconds"),
    [
        (begin("10:00:00") + "2026-01-02 10:00:20  this took 8 s\n", 8),
        (begin("10:00:00") + "2026-01-02 10:09:00  this took 3 min 20 s\n", 200),
        (begin("10:00:00") + "2026-01-02 13:00:00  this took 2 h 5 min\n", 7500),
        # interrupted, then killed, then finished
        (
            begin("10:00:00")
            + "2026-01-02 10:01:00  this took 1 min 0 s\n"
            + begin("11:00:00")
            + "2026-01-02 11:00:30  epoch   2/4  loss 0.1\n"
            + begin("12:00:00")
            + "2026-01-02 12:00:09  this took 9 s\n",
            60 + 30 + 9,
        ),
        ("", 0),
        ("not a log\n", 0),
    ],
)
def test_seconds_are_summed_over_the_sessions(tmp_path: Path, log: str, seconds: float) -> None:
    run_folder(tmp_path / "run", HISTORY, METRICS, log)
    assert read_log(tmp_path / "run").seconds == seconds


def test_the_log_says_where_a_run_was_trained(tmp_path: Path) -> None:
    run_folder(tmp_path / "run", HISTORY, METRICS, begin("10:00:00"))
    record = read_log(tmp_path / "run")
    assert (record.place, record.torch) == ("cpu, float32, channels_last, 2 threads", "2.13.0+cpu")
