"""Unusual moments: a full disk, a folder without permission, a training that diverges, Ctrl-C at a bad time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.conftest import neocog, neocog_process

from neocog import load
from neocog.run import Run
from neocog.training.checkpoint import read

# The command line in a process whose files may not become larger than 8 KiB, as on a disk that is nearly full.
SMALL_FILES = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
from neocog.cli import main
main()
"""
# Some hundred steps of a small network.
TRAINING = """
[data]
source = "digits"
[model]
network = "flatten | linear 64 | relu | dropout 0.3 | linear classes"
[train]
epochs = 3
batch_size = 8
checkpoint_seconds = 0.02
"""
RESUMED = ["best.safetensors", "last.safetensors", "history.csv", "metrics.json"]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of resources are those of Unix")
def test_neither_two_ctrl_c_nor_a_full_disk_harm_the_last_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TRAINING)
    last = tmp_path / "run" / "last.safetensors"
    process = neocog_process("train", "--recipe", "recipe.toml", "--out", "run", cwd=tmp_path)
    wait_for(last, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in told

    before = last.read_bytes()
    full = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, "resume", "run"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env=os.environ | {"COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert full.returncode == 2
    assert "cannot write run/last.safetensors: File too large." in full.stderr
    assert "Traceback" not in full.stderr
    assert last.read_bytes() == before
    assert [path.name for path in last.parent.iterdir() if path.name.startswith(".")] == []

    assert neocog("resume", "run", cwd=tmp_path).returncode == 0
    assert neocog("train", "--recipe", "recipe.toml", "--out", "unbroken", cwd=tmp_path).returncode == 0
    for name in RESUMED:
        assert (last.parent / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_while_training_leaves_a_whole_checkpoint(small_disk: Path) -> None:
    settings = ("--model", "mlp", "--batch-size", "8", "--epochs", "500", "--set", "train.checkpoint_seconds=0.01")
    process = neocog_process("train", "digits", *settings, "--out", "disk/run", cwd=small_disk.parent)
    wait_for(small_disk / "run" / "last.safetensors", process)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "No space left on device" in told
    assert "Traceback" not in told
    filler.unlink()
    _, place = read(small_disk / "run" / "last.safetensors")
    assert (place["epoch"], place["step"]) > (0, 0)


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    command = [sys.executable, "-m", "neocog", "train", "digits", "--out", "locked/run"]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write everywhere, and setpriv is not there to forbid it")
        command = [setpriv, "--inh-caps=-all", "--bounding-set=-all", *command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: cannot make the folder locked/run: Permission denied. Choose another --out."


def test_a_training_that_diverges_keeps_the_best_weights(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(
        '[data]\nsource = "digits"\n[model]\nnetwork = "flatten | linear 16 | relu | linear classes"\n'
        "[train]\nepochs = 2\n"
        '[[stage]]\nname = "calm"\n[[stage]]\nname = "wild"\n[stage.train]\nlr = 1e30\noptimizer = "sgd"\n'
    )
    done = neocog("train", "--recipe", "recipe.toml", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "the loss is nan at epoch" in done.stderr or "the loss is inf at epoch" in done.stderr
    assert "The best weights so far are kept." in done.stderr
    assert "Try a smaller learning rate (lr = 1e+29)" in done.stderr
    assert "Traceback" not in done.stderr
    kept = load(tmp_path / "run")
    assert torch.isfinite(torch.cat([tensor.flatten() for tensor in kept.network.state_dict().values()])).all()
    assert [row["stage"] for row in Run(tmp_path / "run").history[:2]] == ["calm", "calm"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a process of a group in another way there")
def test_ctrl_c_while_predicting_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TRAINING)
    assert neocog("train", "--recipe", "recipe.toml", "--epochs", "1", "--out", "run", cwd=tmp_path).returncode == 0
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    # A shell starts what runs in the background with interrupts ignored, and Python leaves them so.
    process = neocog_process(
        "predict", "run", "-", cwd=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("1.png\n" * 300)
    process.stdin.flush()
    assert process.stdout.readline().startswith("1.png")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "interrupted" in told
    assert "resume" not in told, "there is nothing to go on with"
