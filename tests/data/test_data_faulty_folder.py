"""A folder with one of every fault trains by the command line, and what was left out is told."""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .data_pictures import noise
from .test_data_decoding import bomb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, permissions and names are those of Linux")

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "개미") for form in ("NFC", "NFD"))
BEES = "bees 🐝"
_DROP_FROM_BOUNDING_SET, _RIGHTS_OVER_FILES = 24, (1, 2)
# what is left out, by its name, and a word of the reason
LEFT_OUT = {
    "broken.jpg": "truncated",
    "cut.png": "truncated",
    "empty.png": "the file is empty",
    "text.jpg": "not an image",
    "bomb.png": "decompression bomb",
    "pipe.png": "a pipe, a socket or a device",
    "socket.png": "a pipe, a socket or a device",
    "gone.png": "there is no such file",
    "self.png": "it cannot be opened (Too many levels of symbolic links)",
    "notes.txt": "not an image file (.txt)",
    "loose.png": "outside the class folders",
    "secret.png": "no permission",
    "closed": "the folder cannot be read",
}
KEPT = {
    "animated.gif", "cmyk.jpg", "sixteen.png", "transparent.gif", "wrong.jpg", "no suffix", "large.png", "CASE.png",
    "case.png", f"{COMPOSED}.png", f"{DECOMPOSED}.png", "🐝🐜.png", "new\nline.png", "linked.png", "tall.png",
    "inside.png", "l" * 251 + ".png",
}  # fmt: skip


def make_faulty(root: Path) -> None:
    """Two classes of eight sound pictures each, a class of one, and the faults."""
    for seed, name in enumerate((DECOMPOSED, BEES)):
        (root / name).mkdir(parents=True)
        for number in range(8):
            noise(100 * seed + number, (20, 20)).save(root / name / f"{number}.png")
    (root / "lonely").mkdir()
    noise(7).save(root / "lonely" / "1.png")
    ants = root / DECOMPOSED
    noise(8, (200, 200)).save(ants / "broken.jpg")
    (ants / "broken.jpg").write_bytes((ants / "broken.jpg").read_bytes()[:3000])
    (ants / "cut.png").write_bytes((ants / "0.png").read_bytes()[:150])
    (ants / "empty.png").touch()
    (ants / "text.jpg").write_text("just text")
    (ants / "bomb.png").write_bytes(bomb())
    os.mkfifo(ants / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(ants / "socket.png"))
    (ants / "gone.png").symlink_to("nowhere.png")
    (ants / "self.png").symlink_to("self.png")
    (ants / "round").symlink_to(root, target_is_directory=True)
    (ants / "linked.png").symlink_to("1.png")
    (ants / "notes.txt").write_text("text")
    (ants / "Thumbs.db").write_text("litter")
    noise(9).save(root / "loose.png")
    _make_unusual(root / BEES)


def _make_unusual(bees: Path) -> None:
    noise(10).save(bees / "animated.gif", save_all=True, append_images=[noise(11), noise(12)])
    noise(13, channels=4).convert("CMYK").save(bees / "cmyk.jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (12, 10), np.uint16)).save(bees / "sixteen.png")
    noise(14).quantize(8).save(bees / "transparent.gif", transparency=3)
    noise(15).save(bees / "wrong.png")
    (bees / "wrong.png").rename(bees / "wrong.jpg")
    shutil.copy(bees / "1.png", bees / "no suffix")
    Image.new("1", (9000, 9000)).save(bees / "large.png")
    noise(16, (1, 900)).save(bees / "tall.png")
    names = ("CASE", "case", COMPOSED, DECOMPOSED, "🐝🐜", "new\nline", "l" * 251)
    for seed, name in enumerate(names):
        noise(20 + seed).save(bees / f"{name}.png")
    (bees / "folder.jpg").mkdir()
    noise(30).save(bees / "folder.jpg" / "inside.png")
    noise(31).save(bees / "secret.png")
    (bees / "secret.png").chmod(0)
    (bees / "closed").mkdir()
    noise(32).save(bees / "closed" / "1.png")
    (bees / "closed").chmod(0)


def without_rights() -> None:
    """Take from root, for the program that is started next, the right to read what is forbidden."""
    for right in _RIGHTS_OVER_FILES if os.geteuid() == 0 else ():
        if ctypes.CDLL(None, use_errno=True).prctl(_DROP_FROM_BOUNDING_SET, right, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot give up a right")


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200", "NEOCOG_DATA": str(cwd / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, preexec_fn=without_rights,
        capture_output=True, text=True, timeout=300, errors="replace",
    )  # fmt: skip


def test_a_folder_with_every_fault_trains_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short, so it is bound by a relative one
    make_faulty(tmp_path / "images")
    closed = tmp_path / "images" / BEES / "closed"
    try:
        if not run("-c", f"import os; os.listdir({str(closed)!r})", cwd=tmp_path).returncode:
            pytest.skip("the rights of root cannot be given up here")
        done = run(
            "-m", "neocog", "train", "images", "--model", "flatten | linear classes", "--epochs", "1", "--out", "run",
            *("--set", "data.image_size=16", "--set", "data.validation=6", "--set", "data.cache=disk"), cwd=tmp_path,
        )  # fmt: skip
    finally:
        closed.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    with (tmp_path / "run" / "skipped.csv").open(encoding="utf-8", newline="") as file:
        left_out = {Path(path).name: reason for path, reason in list(csv.reader(file))[1:]}
    assert set(left_out) == set(LEFT_OUT)
    assert {name: reason for name, reason in left_out.items() if LEFT_OUT[name] not in reason} == {}
    told = done.stdout + done.stderr
    assert f"{len(LEFT_OUT)} " in told and "skipped.csv" in told
    assert "class lonely is left out: it has 1 training image" in told
    assert "2 images are copies of others" in told


def test_what_is_only_unusual_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neocog.data import load
    from neocog.recipe import DataSettings

    monkeypatch.chdir(tmp_path)
    make_faulty(tmp_path / "images")
    data = load(DataSettings(source="images", image_size=(16, 16), validation=6, cache="memory"))
    assert data.valid is not None
    kept = {Path(source).name for part in (data.train, data.valid) for source in part.sources or ()}
    assert kept >= KEPT and data.classes == (BEES, COMPOSED)
    assert set(LEFT_OUT) & kept <= {"secret.png"}  # root reads it
