from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.data import DataSet, load
from neocog.data.packaged import packaged_source
from neocog.data.split import split
from neocog.data.twins import group_numbers, together, twins
from neocog.errors import DataError
from neocog.recipe import DataSettings

Make = Callable[..., Path]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([(1, 1, 1), (1, 2, 3), (3, 40, 40)]))
def test_twins_are_the_images_that_compare_equal(seed: int, count: int, shape: tuple[int, int, int]) -> None:
    draws = np.random.default_rng(seed)
    images = draws.integers(0, 3, (count, *shape)).astype(np.uint8)
    if count and draws.random() < 0.7:
        images = images[draws.integers(0, count, count)]
        # alike in the middle, which is looked at first
        images[: count // 3, 0, 0, 0] = 9
    expected = [[other for other in range(count) if np.array_equal(images[row], images[other])] for row in range(count)]
    assert sorted(twins(images)) == sorted({tuple(group): group for group in expected if len(group) > 1}.values())


def test_no_two_images_of_the_packages_sets_are_the_same() -> None:
    for name in ("mnist", "fashion-mnist"):
        source = packaged_source(name, tuple("0123456789"))
        images = np.empty((len(source), 1, 28, 28), np.uint8)
        images[:] = source.pixels._images  # type: ignore[attr-defined]
        assert twins(images) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(4, 12), st.sampled_from([0.1, 0.3, 0.5]))
def test_a_split_keeps_twins_together_and_every_class_on_both_sides(
    seed: int, classes: int, each: int, size: float
) -> None:
    draws = np.random.default_rng(seed)
    labels = draws.permutation(np.repeat(np.arange(classes), each))
    numbers = np.arange(len(labels))
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        copies = rows[2:][draws.random(len(rows) - 2) < 0.5]
        numbers[copies] = numbers[draws.choice(rows[:2], len(copies))]
    names = tuple("abcd")
    train, valid, _ = split(labels, size, seed, classes=names, twins=numbers)
    assert sorted([*train, *valid]) == list(range(len(labels)))
    assert not set(numbers[train]) & set(numbers[valid])
    assert set(labels[train]) == set(labels[valid]) == set(range(classes))


def test_a_split_without_twins_is_the_split_that_it_was() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 40))
    one = split(labels, 0.2, 7, classes=tuple("abc"))
    other = split(labels, 0.2, 7, classes=tuple("abc"), twins=np.arange(120) * 3)
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def test_a_class_of_nothing_but_copies_is_still_on_both_sides() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    numbers = group_numbers(10, [[0, 1, 2, 9], [6, 7, 8]])
    train, valid, _ = split(labels, 0.3, 0, classes=("a", "b"), twins=numbers)
    assert set(labels[train]) == set(labels[valid]) == {0, 1}
    assert sorted([*train, *valid]) == list(range(10))


@pytest.fixture
def with_copies(make_folder: Make) -> Path:
    root = make_folder({"train/a": 6, "train/b": 6, "val/a": 3, "val/b": 3, "test/a": 2, "test/b": 2})
    shutil.copy(root / "train/a/0.png", root / "val/a/copy.png")
    # the same pixels in another file
    with Image.open(root / "train/b/1.png") as image:
        image.save(root / "test/b/saved again.bmp")
    shutil.copy(root / "val/b/2.png", root / "test/b/2b.png")
    shutil.copy(root / "train/a/3.png", root / "train/b/other label.png")
    return root


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_leaks_and_two_labels_are_noted(with_copies: Path, cache: str) -> None:
    for _ in range(2):  # the second time from the store
        notes = load(DataSettings(source=str(with_copies), cache=cache)).notes  # type: ignore[arg-type]
        assert len(notes) == 4
        for words in (
            ("1 of the validation images is among the training images too", "val/a/copy.png is ", "train/a/0.png"),
            ("1 of the test images is among the training images too", "test/b/saved again.bmp is ", "train/b/1.png"),
            ("1 of the test images is among the validation images too", "test/b/2b.png is ", "val/b/2.png"),
            ("1 picture is trained on under two labels", "train/a/3.png is a, ", "other label.png is b"),
        ):
            (note,) = (note for note in notes if note.startswith(words[0]))
            assert all(word in note for word in words) and f"neocog audit {with_copies}" in note
    on_test = load(DataSettings(source=str(with_copies), cache=cache, validation="test")).notes  # type: ignore[arg-type]
    assert not any("validation images is among" in note for note in on_test)


def test_many_copies_are_counted_and_the_first_are_named(make_folder: Make) -> None:
    root = make_folder({"train/a": 6, "train/b": 6, "val/a": 1, "val/b": 1})
    for number in range(5):
        shutil.copy(root / f"train/a/{number}.png", root / f"val/a/copy{number}.png")
    (note,) = load(DataSettings(source=str(root))).notes
    assert note.startswith("5 of the validation images are among the training images too, pixel for pixel (")
    assert note.count(" is ") == 3 and "; and 2 more): the figure" in note


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_split_of_a_folder_with_copies_has_no_leak(make_folder: Make, cache: str) -> None:
    root = make_folder({"a": 8, "b": 8})
    for number in range(6):
        shutil.copy(root / "a" / f"{number}.png", root / "a" / f"copy{number}.png")

    def division(seed: int) -> DataSet:
        return load(DataSettings(source=str(root), validation=0.3, split_seed=seed, cache=cache))  # type: ignore[arg-type]

    for seed in range(5):
        data = division(seed)
        assert data.valid is not None
        assert not {image.numpy().tobytes() for image in data.train.images} & {
            image.numpy().tobytes() for image in data.valid.images
        }
        assert len(data.notes) == 1 and data.notes[0].startswith("6 images are copies of others, pixel for pixel")
        assert len(data.train) + len(data.valid) == 22


def test_a_number_of_images_that_only_copies_would_fill_is_refused(make_folder: Make) -> None:
    root = make_folder({"a": 2, "b": 2})
    for number in range(9):
        shutil.copy(root / "a" / "0.png", root / "a" / f"copy{number}.png")
    with pytest.raises(DataError, match="leaves 0 of 4 images"):
        load(DataSettings(source=str(root), validation=4))


def test_what_belongs_together_is_joined_over_pixels_and_names() -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None, None].repeat(4, axis=2)
    images[3] = images[1]
    found = together(images, ["a", "b", "a", "c", "c", "d"])
    assert found is not None
    # 1 and 3 show the same, 3 and 4 are both called c
    assert found[0] == found[2] and found[1] == found[3] == found[4]
    assert len(set(found.tolist())) == 3


def test_nothing_belongs_together_without_names_and_twins() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None]
    assert together(images) is None
    again = together(images[[0, 1, 0]])
    assert again is not None and again.tolist() == [0, 1, 0]


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_parts_of_a_data_set_know_the_groups_of_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "cache"))
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (4, 4), 10 * number + (label == "b")).save(
                tmp_path / "pictures" / label / f"{number // 2}_{number}.png"
            )
    settings = {"source": str(tmp_path / "pictures"), "groups": r"^(\d+)_", "validation": 0.3, "cache": cache}
    data = load(DataSettings.model_validate(settings))
    assert data.valid is not None
    for part in (data.train, data.valid, data.train.subset([2, 0])):
        assert part.groups is not None and part.sources is not None
        assert list(part.groups) == [Path(name).name.partition("_")[0] for name in part.sources]
