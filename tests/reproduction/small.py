"""Small recipes under names that have claims, results made by hand, and a run folder made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neocog.recipe import Recipe
from neocog.reproduction.results import Machine, Result, Results, Shifted
from neocog.run import Run, write_history

MACHINE = Machine(processor="Some Processor", cores=2, system="Linux x86_64", python="3.11.7", neocog="0.1.0")

_DIGITS = """
[data]
source = "digits"
validation = "test"
[model]
network = "{network}"
[train]
epochs = 2
batch_size = 64
lr = 3e-3
threads = 1
precision = "float32"
"""
NETWORKS = {
    "bootcamp-cnn": "conv 4 3x3 same | relu | maxpool 2 | flatten | linear classes",
    "bootcamp-cnn-stride": "conv 4 3x3 stride 2 pad 1 | relu | flatten | linear classes",
    "mlp": "flatten | linear 16 | relu | linear classes",
}


def recipes() -> dict[str, Recipe]:
    """Trainings of a second on the 8x8 digits, under names that have claims."""
    return {name: Recipe.from_text(_DIGITS.format(network=network)) for name, network in NETWORKS.items()}


def result(recipe: str, seed: int = 0, *, on_test: bool = False, seconds: float = 60, **figures: float) -> Result:
    """A run's figures, with what every run has."""
    return Result(
        recipe=recipe,
        seed=seed,
        figures={"parameters": 50_186, "epochs": 11} | figures,
        valid_images=10_000,
        test_images=10_000,
        validated_on_test=on_test,
        macs=1_000,
        seconds=seconds,
        place="cpu, float32",
        torch="2.13.0",
    )


def results(*runs: Result, shifted: Sequence[Shifted] = ()) -> Results:
    return Results(machine=MACHINE, runs=list(runs), shifted=list(shifted))


def epoch(number: int, train_loss: float, valid_loss: float, valid_accuracy: float) -> dict[str, Any]:
    return {
        "stage": "train", "epoch": number, "train_loss": train_loss, "train_accuracy": 0.9,
        "valid_loss": valid_loss, "valid_accuracy": valid_accuracy, "learning_rate": 0.001,
    }  # fmt: skip


def run_folder(path: Path, history: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any], log: str = "") -> Run:
    """A run with this history, these metrics and this log."""
    path.mkdir(parents=True)
    Recipe().save(path / "recipe.toml")
    write_history(path, history)
    (path / "metrics.json").write_text(json.dumps(metrics))
    if log:
        (path / "log.txt").write_text(log, encoding="utf-8")
    return Run(path)
