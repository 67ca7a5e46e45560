"""Pictures that look like photographs to an audit, and a folder of them with faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

NAMES = ("ants", "해바라기")


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture with the spectrum of a photograph (amplitude 1/f), `size` being (width, height)."""
    width, height = size
    draws = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None, :] * width
    amplitude = 1 / np.maximum(np.hypot(down, across), 1)
    planes = []
    for _ in range(3):
        phase = np.exp(2j * np.pi * draws.random((height, width)))
        plane = np.fft.ifft2(amplitude * phase).real
        planes.append(np.clip(128 + 45 * (plane - plane.mean()) / plane.std(), 0, 255))
    return Image.fromarray(np.stack(planes, 2).astype(np.uint8))


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path_factory.mktemp("neocog-data")))


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Two classes of 12 training and 4 test pictures of 80 pixels, with one fault of each kind."""
    root = tmp_path / "pictures"
    for place, name in enumerate(NAMES):
        for part, count in (("train", 12), ("test", 4)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                seed = 1000 * place + 100 * (part == "test") + number
                scene(seed, (80, 64)).save(folder / f"{number}.png")
    ants, flowers = root / "train" / NAMES[0], root / "train" / NAMES[1]
    (ants / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (ants / "empty.png").write_bytes(b"")
    (ants / "notes.pdf").write_bytes(b"%PDF")
    Image.open(ants / "0.png").save(ants / "copy, of 0.bmp")
    Image.open(ants / "1.png").save(flowers / 'two "labels".png')
    Image.open(root / "test" / NAMES[0] / "2.png").save(ants / "# leak.tiff")
    ImageOps.mirror(Image.open(root / "test" / NAMES[1] / "3.png")).save(flowers / "거울 🐝.png")
    Image.open(ants / "4.png").crop((0, 0, 80, 62)).save(ants / "near.jpg", quality=60)
    Image.new("RGB", (80, 64), (200, 30, 30)).save(flowers / "red.png")
    return root
