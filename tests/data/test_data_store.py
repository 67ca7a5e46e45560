from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from neocog.data import DataSet, load, loading, store
from neocog.data.memory import available_memory
from neocog.errors import NeocogError
from neocog.recipe import DataSettings

from .data_pictures import noise

Make = Callable[..., Path]


def load_from_disk(root: Path, **values: object) -> tuple[DataSet, bool]:
    """The data set, and whether anything was decoded for it."""
    told: list[str] = []
    settings = DataSettings(source=str(root), cache="disk", **values)  # type: ignore[arg-type]
    data = load(settings, progress=lambda what, done, total: told.append(what))
    return data, "decoding images" in told


def same(one: DataSet, other: DataSet) -> bool:
    pairs = [(one.train, other.train), (one.valid, other.valid), (one.test, other.test)]
    return all(
        (a is None and b is None)
        or (a is not None and b is not None and torch.equal(a.images, b.images) and a.sources == b.sources)
        for a, b in pairs
    )


@pytest.mark.parametrize("validation", [0.3, "test"])
def test_disk_and_memory_give_the_same(make_folder: Make, validation: object) -> None:
    root = make_folder({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 3})
    (root / "train" / "a" / "half.png").write_bytes((root / "train" / "a" / "0.png").read_bytes()[:150])
    in_memory = load(DataSettings(source=str(root), cache="memory", validation=validation))  # type: ignore[arg-type]
    first, decoded = load_from_disk(root, validation=validation)
    again, decoded_again = load_from_disk(root, validation=validation)
    assert decoded and not decoded_again
    assert same(in_memory, first) and same(first, again)
    assert [skipped.path for skipped in again.skipped] == [str(root / "train" / "a" / "half.png")]
    assert again.skipped == first.skipped == in_memory.skipped


def test_a_change_of_the_folder_builds_it_anew(make_folder: Make, own_data_folder: Path) -> None:
    root = make_folder({"a": 5, "b": 5})
    load_from_disk(root)
    noise(999).save(root / "a" / "0.png")
    os.utime(root / "a" / "0.png", ns=(1, 1))
    changed, decoded = load_from_disk(root)
    assert decoded and same(changed, load(DataSettings(source=str(root), cache="memory")))
    noise(1000).save(root / "b" / "new.png")
    assert load_from_disk(root)[1] and not load_from_disk(root)[1]
    assert len(list((own_data_folder / "decoded").glob("*.uint8"))) == 1


def test_another_geometry_or_split_is_not_mixed_up(make_folder: Make) -> None:
    root = make_folder({"a": 5, "b": 5})
    load_from_disk(root)
    for values in ({"image_size": (5, 5)}, {"channels": 1}, {"split_seed": 3}, {"validation": 0.5}):
        on_disk, _ = load_from_disk(root, **values)
        assert same(on_disk, load(DataSettings(source=str(root), cache="memory", **values)))  # type: ignore[arg-type]


def test_a_damaged_store_is_built_anew(make_folder: Make, own_data_folder: Path) -> None:
    root = make_folder({"a": 5, "b": 5})
    first, _ = load_from_disk(root)
    wished = first.train.images.clone()
    (data,) = (own_data_folder / "decoded").glob("*.uint8")
    (record,) = (own_data_folder / "decoded").glob("*.json")
    data.write_bytes(data.read_bytes()[:-1])
    mended, decoded = load_from_disk(root)
    assert decoded and torch.equal(mended.train.images, wished)
    record.write_text("{")
    assert load_from_disk(root)[1]


def test_writing_to_the_images_does_not_reach_the_file(make_folder: Make) -> None:
    root = make_folder({"a": 5, "b": 5})
    first, _ = load_from_disk(root)
    kept = first.train.images.clone()
    first.train.images.zero_()
    again, decoded = load_from_disk(root)
    assert not decoded and torch.equal(again.train.images, kept)


def test_a_failure_leaves_nothing_behind(
    make_folder: Make, own_data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, start: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "posix_fallocate", full, raising=False)
    with pytest.raises(NeocogError, match="No space left"):
        load_from_disk(make_folder({"a": 5, "b": 5}))
    assert not list((own_data_folder / "decoded").iterdir())


@pytest.mark.parametrize(("spare", "on_disk"), [(0, False), (-4, True)])
def test_large_sets_go_to_disk_by_themselves(
    make_folder: Make, own_data_folder: Path, monkeypatch: pytest.MonkeyPatch, spare: int, on_disk: bool
) -> None:
    root = make_folder({"a": 5, "b": 5})
    size = 10 * 3 * 12 * 10
    monkeypatch.setattr(loading, "available_memory", lambda: 4 * size + spare)
    load(DataSettings(source=str(root)))
    assert bool(list(own_data_folder.glob("decoded/*.uint8"))) == on_disk


def test_available_memory_is_a_sensible_number() -> None:
    assert 2**20 < available_memory() < 2**45
