"""Finished runs to report on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neocog as nc

NAMES = ("<b>&amp;", "'\"> onload=", "해바라기")
NETWORK = "conv 8 3x3 same | relu | maxpool 2 | conv 8 3x3 | relu | globalavgpool | linear classes"


@pytest.fixture(scope="session")
def photographs_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on noisy coloured pictures of 96 pixels, in classes with names that mean something to HTML; one file is
    broken."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for label, name in enumerate(NAMES):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(16):
            pixels = generator.integers(0, 200, (96, 96, 3), dtype=np.uint8)
            pixels[:, :, label] |= 56 if number % 4 else 0
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.jpg")
    (folder / "images" / NAMES[0] / "broken & <i>.jpg").write_bytes(b"\xff\xd8\xff no more")
    with contextlib.suppress(OSError):  # some systems refuse such a name
        Path(os.fsdecode(os.fsencode(folder / "images" / NAMES[1]) + b"/\xe4.jpg")).write_bytes(b"no image")
    run = nc.train(
        folder / "images", model=NETWORK, epochs=2, batch_size=8, image_size=96, validation=0.5, horizontal_flip=0.5,
        out=folder / "run", progress=False, threads=1,
    )  # fmt: skip
    return run.path


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the small digits of scikit-learn."""
    out = tmp_path_factory.mktemp("digits") / "run"
    return nc.train("digits", model=NETWORK, epochs=2, out=out, progress=False, threads=1).path
