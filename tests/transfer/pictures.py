"""Coloured pictures that a network can learn from in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from neocog.models import build

NETWORK = "small-cnn"


def write_pictures(folder: Path, *, classes: int = 2, each: int = 14, side: int = 24, seed: int = 0) -> Path:
    """Write a folder of PNG files: a class is a colour and a direction of stripes, under noise."""
    draws = np.random.default_rng(seed)
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        rows, columns = np.mgrid[:side, :side]
        for number in range(each):
            stripes = np.sin((rows if label % 2 else columns) * 0.9 + draws.uniform(0, 6))
            pixels = np.stack([stripes * (60 if channel == label % 3 else 30) for channel in range(3)], axis=2)
            noisy = np.clip(128 + pixels + draws.normal(0, 25, pixels.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"class{label}" / f"{number}.png")
    return folder


def write_weights(path: Path, *, name: str = NETWORK, classes: int = 7, side: int = 24) -> Path:
    """Write weights of a named network for other classes, as something to begin with."""
    network = build(name, (3, side, side), classes, seed=3)
    safetensors.torch.save_file(network.state_dict(), str(path))
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are cached in a folder of the test's own."""
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "cache"))
