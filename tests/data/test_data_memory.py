"""Memory stays flat: what a set of files takes, beside its pixels, does not grow noticeably with their number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FEW, MANY = 3_000, 15_000
# A file takes its name and some numbers, while names are sorted twice its name; a `Path` alone takes five hundred.
BYTES_PER_FILE = 450

LOADING = """
import sys, threading, time
import sklearn.model_selection
from neocog.data import load
from neocog.recipe import DataSettings

def private():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) * 1024

load(DataSettings(source=sys.argv[1], cache="disk"))
before = most = private()
done = threading.Event()

def watch():
    global most
    while not done.wait(0.002):
        most = max(most, private())

watching = threading.Thread(target=watch)
watching.start()
data = load(DataSettings(source=sys.argv[2], cache="disk"))
done.set()
watching.join()
print(len(data.train) + len(data.valid), max(most, private()) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_loading_many_files_takes_little_memory_for_each(tmp_path: Path) -> None:
    grown = []
    for count in (10, FEW, MANY):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 64), np.uint8)
        for name in "ab":
            (tmp_path / str(count) / name).mkdir(parents=True)
        for number, content in enumerate(pixels):
            file = tmp_path / str(count) / "ab"[number % 2] / f"IMG_{number:07}.pgm"
            file.write_bytes(b"P5 8 8 255\n" + content.tobytes())
    for count in (FEW, MANY):
        done = subprocess.run(
            [sys.executable, "-c", LOADING, "10", str(count)], cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"NEOCOG_DATA": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        loaded, more = map(int, done.stdout.split())
        assert loaded == count
        grown.append(more)
    each = (grown[1] - grown[0]) / (MANY - FEW)
    assert each < BYTES_PER_FILE, f"{each:.0f} bytes a file"
