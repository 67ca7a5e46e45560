"""Memory: predicting stays flat however many files there are; training on MNIST stays under 1 GB resident."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import neocog, neocog_process

MEBIBYTE = 2**20
FILES = 15_000

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has just ended
        return 0
    return pages * resource.getpagesize()


def test_predicting_many_files_stays_flat(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[model]\nnetwork = "mlp"\n[train]\nepochs = 1\n')
    done = neocog("train", "digits", "--recipe", "recipe.toml", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    Image.new("L", (8, 8), 100).save(tmp_path / "1.png")
    (tmp_path / "list.txt").write_text("1.png\n" * FILES)
    with (tmp_path / "list.txt").open() as given:
        process = subprocess.Popen(
            [sys.executable, "-m", "neocog", "predict", "run", "-", "--format", "csv", "--top", "1"],
            cwd=tmp_path, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        early = late = 0
        count = -1
        for count, _ in enumerate(process.stdout):
            if count == FILES // 10:
                early = resident(process.pid)
            elif count > FILES // 10 and count % 500 == 0 and process.poll() is None:
                late = max(late, resident(process.pid))
    assert process.wait(timeout=60) == 0, process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert count == FILES
    assert early > 0
    # a tenth of a kilobyte a file would already show
    assert late - early < FILES * 100, f"{early / MEBIBYTE:.0f} MiB after a tenth, then {late / MEBIBYTE:.0f} MiB"


def test_training_on_mnist_stays_under_a_gigabyte(tmp_path: Path) -> None:
    # All the 70,000 images are read; a few steps need the memory of many.
    few = ("--epochs", "1", "--set", "data.validation=0.9")
    process = neocog_process("train", "mnist", *few, "--out", "run", cwd=tmp_path)
    assert process.stdout is not None and process.stderr is not None and process.stdin is not None
    most = 0
    while process.poll() is None:
        # Not the kernel's own maximum: a new process begins with that of the one that started it.
        most = max(most, resident(process.pid))
        time.sleep(0.005)
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert 2e8 < most < 1e9, f"{most / MEBIBYTE:.0f} MiB"
