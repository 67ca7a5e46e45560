from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .data_pictures import noise

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("neocog-data")
    monkeypatch.setenv("NEOCOG_DATA", str(folder))
    return folder


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared test data are not beside this checkout")
    return SHARED


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of noise pictures: make_folder({"cats": 3, "train/dogs": 2}, size=…, channels=…)."""

    def make(classes: dict[str, int], *, size: tuple[int, int] = (12, 10), channels: int = 3) -> Path:
        root = tmp_path / "images"
        seed = 0
        for name, count in classes.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                noise(seed, size, channels).save(root / name / f"{number}.png")
        return root

    return make
