"""What several tests need: real processes, real data, and settings that train in a second."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

# Two tests at a time share the cores: threads that wait by spinning would take them from the others. Read by OpenMP
# when torch is imported, here and in every process that the tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

# A training of two hundred small steps in which everything that has a state takes part; on one thread, since a step
# this small takes several times longer on two that others keep busy.
EVERYTHING = [
    "digits",
    "--model",
    "conv 8 3x3 same | batchnorm | relu | maxpool 2 | dropout 0.2 | flatten | linear 32 | relu | dropout 0.3 "
    "| linear 10",
    "--epochs",
    "4",
    "--batch-size",
    "32",
    *("--set", "train.threads=1"),
    *("--set", "train.checkpoint_seconds=0.05"),
    *("--set", "train.schedule=onecycle"),
    *("--set", "train.optimizer=adamw"),
    *("--set", "train.ema=0.99"),
    *("--set", "train.label_smoothing=0.1"),
    *("--set", "train.clip_norm=5.0"),
    *("--set", "augment.shift_x=0.1"),
    *("--set", "augment.rotate=10"),
    *("--set", "augment.noise=0.05"),
]


def neocog_process(*arguments: str, cwd: Path, **options: object) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "neocog", *arguments],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
        **options,  # type: ignore[call-overload]
    )


def neocog(*arguments: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line to its end and give what it printed."""
    process = neocog_process(*arguments, cwd=cwd)
    out, err = process.communicate(given, timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `EVERYTHING` that nothing interrupted."""
    folder = tmp_path_factory.mktemp("unbroken")
    done = neocog("train", *EVERYTHING, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, in order."""
    saved: list[Figure] = []
    save = Figure.savefig

    def _keep(self: Figure, *arguments: Any, **options: Any) -> None:
        saved.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", _keep)
    return saved
