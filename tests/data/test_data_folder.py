from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neocog.data import Geometry, decode, load, load_images
from neocog.data.imageset import Skipped
from neocog.errors import DataError
from neocog.recipe import DataSettings

from .data_pictures import noise

Make = Callable[..., Path]


def settings(root: Path, **values: object) -> DataSettings:
    return DataSettings(source=str(root), **values)  # type: ignore[arg-type]


def test_a_folder_of_classes_is_divided(make_folder: Make) -> None:
    root = make_folder({"개미": 10, "bees🐝": 10, "class10": 10, "class2": 10})
    data = load(settings(root, validation=0.25))
    assert data.classes == ("bees🐝", "class2", "class10", "개미")
    assert data.valid is not None and data.test is None and data.validation_origin == "split"
    assert data.train.class_counts().sum() == 30 and data.valid.class_counts().sum() == 10
    assert (data.valid.class_counts() >= 2).all()
    assert data.geometry == Geometry((10, 12), 3) and not data.skipped and not data.notes
    assert not set(data.train.sources or ()) & set(data.valid.sources or ())
    for part in (data.train, data.valid):
        assert part.sources is not None
        for image, label, source in zip(part.images, part.labels, part.sources, strict=True):
            assert Path(source).parent.name == data.classes[label]
            assert np.array_equal(image.numpy(), decode(Path(source), data.geometry))


def test_the_same_settings_give_the_same_set(make_folder: Make) -> None:
    root = make_folder({"a": 9, "b": 8})
    one, two, other = (load(settings(root, split_seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one.train.images, two.train.images) and one.train.sources == two.train.sources
    assert one.train.sources != other.train.sources


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_own_parts_are_used(make_folder: Make, name: str) -> None:
    root = make_folder({"train/a": 3, "train/b": 3, f"{name}/a": 2, f"{name}/b": 1, "test/a": 1, "test/b": 1})
    data = load(settings(root))
    assert data.validation_origin == "folder" and data.valid is not None and data.test is not None
    assert (len(data.train), len(data.valid), len(data.test)) == (6, 3, 2)
    on_test = load(settings(root, validation="test"))
    assert on_test.validation_origin == "test" and on_test.valid is not None and len(on_test.valid) == 2
    assert any("not used" in note for note in on_test.notes)


def test_validation_on_test_needs_a_test_part(make_folder: Make) -> None:
    with pytest.raises(DataError, match="has none"):
        load(settings(make_folder({"a": 3, "b": 3}), validation="test"))


def test_hidden_files_and_litter_are_passed_over_and_others_reported(make_folder: Make) -> None:
    root = make_folder({"a": 4, "b": 4, ".cache": 2, "__MACOSX": 2})
    for litter in ("a/.DS_Store", "a/Thumbs.db", "b/desktop.ini", ".hidden.png", "README.txt"):
        (root / litter).write_text("litter")
    (root / "a" / "notes.txt").write_text("text")
    (root / "a" / "empty.png").touch()
    (root / "b" / "text.jpg").write_text("no image")
    (root / "b" / "half.png").write_bytes((root / "b" / "0.png").read_bytes()[:150])
    noise(0).save(root / "loose.png")
    data = load(settings(root))
    assert data.classes == ("a", "b")
    reasons = {Path(skipped.path).name: skipped.reason for skipped in data.skipped}
    assert set(reasons) == {"notes.txt", "empty.png", "text.jpg", "half.png", "loose.png"}
    assert "empty" in reasons["empty.png"] and "outside" in reasons["loose.png"]
    assert data.valid is not None and len(data.train) + len(data.valid) == 8
    with pytest.raises(DataError, match=r"strict.*5 of its files(.|\n)*half\.png"):
        load(settings(root, strict=True))


def test_an_unreadable_file_does_not_change_the_split_of_the_others(make_folder: Make) -> None:
    root = make_folder({"a": 8, "b": 8})
    before = load(settings(root))
    (root / "a" / "3b.png").touch()
    after = load(settings(root, image_size=(10, 12), channels=3))
    assert before.train.sources == after.train.sources and len(after.skipped) == 1


def test_a_validation_part_too_small_for_the_classes_is_enlarged(make_folder: Make) -> None:
    root = make_folder({"a": 4, "b": 4})
    data = load(settings(root, validation=0.1))
    assert data.valid is not None and data.valid.class_counts().tolist() == [1, 1]
    assert data.notes == ("validation = 0.1 of 8 images is fewer than one of each class; 2 are set aside instead.",)
    with pytest.raises(DataError, match="cannot hold an image of each of 2 classes"):
        load(settings(root, validation=1))
    with pytest.raises(DataError, match="leaves 0 of 8 images for training"):
        load(settings(root, validation=8))


def test_deeper_folders_belong_to_their_class(make_folder: Make) -> None:
    data = load(settings(make_folder({"a/x/y": 3, "a": 2, "b/x": 4})))
    assert data.valid is not None
    assert (data.train.class_counts() + data.valid.class_counts()).tolist() == [5, 4]


def test_odd_metadata_prints_nothing(make_folder: Make) -> None:
    root = make_folder({"a": 4, "b": 4})
    noise(0).save(root / "a" / "odd.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = load(settings(root, validation=2))
    assert not data.skipped and not caught


def test_links_in_a_circle_end(make_folder: Make) -> None:
    root = make_folder({"a": 3, "b": 3})
    (root / "a" / "loop").symlink_to(root / "a", target_is_directory=True)
    (root / "b" / "gone.png").symlink_to(root / "nowhere.png")
    data = load(settings(root))
    assert data.valid is not None and len(data.train) + len(data.valid) == 6
    assert [skipped.reason for skipped in data.skipped] == ["there is no such file"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("Ants", "ants"), (unicodedata.normalize("NFC", "개미"), unicodedata.normalize("NFD", "개미"))],
)
def test_two_folders_of_one_name_are_refused(make_folder: Make, first: str, second: str) -> None:
    root = make_folder({first: 2, second: 2, "b": 2})
    if len(list(root.iterdir())) < 3:
        pytest.skip("this file system takes the two names for one")
    with pytest.raises(DataError, match="same name"):
        load(settings(root))


def test_decomposed_class_names_are_composed(make_folder: Make) -> None:
    data = load(settings(make_folder({unicodedata.normalize("NFD", "개미"): 3, "벌": 3})))
    assert data.classes == ("개미", "벌")


def test_a_class_with_one_image_is_left_out(make_folder: Make) -> None:
    root = make_folder({"a": 4, "b": 4, "lonely": 1})
    (root / "void").mkdir()
    data = load(settings(root, validation=0.25))
    assert data.classes == ("a", "b") and len(data.notes) == 2
    assert "lonely" in data.notes[0] and "void" in data.notes[1]
    with pytest.raises(DataError, match="lonely"):
        load(settings(root, strict=True))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"": 3}, "3 images directly inside"),
        ({"only": 3}, "only one class"),
        ({"nested/a": 3, "nested/b": 3}, "Perhaps you mean .*nested"),
        ({"a": 1, "b": 1}, "at least two classes of 2"),
        ({"train": 3}, "3 images directly inside"),
        ({"val/a": 3, "test/a": 3}, "no train folder"),
        ({"train/a": 2, "train/b": 2, "val/a": 2}, "validation images have none of b"),
        ({"train/a": 2, "train/b": 2, "val/a": 2, "val/b": 1, "val/c": 1}, "training images have none of c"),
        ({"train/a": 2, "train/b": 2, "val/a": 2, "valid/a": 2}, "both val and valid"),
    ],
)
def test_layouts_that_cannot_be_used_say_what_to_do(make_folder: Make, classes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(settings(make_folder(classes)))


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders inside"):
        load(settings(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="no images in them"):
        load(settings(tmp_path))
    (tmp_path / "a" / "1.png").touch()
    with pytest.raises(DataError, match=r"none of 1 files is an image.*empty"):
        load(settings(tmp_path))


def test_test_images_without_classes_are_noted(make_folder: Make) -> None:
    data = load(settings(make_folder({"train/a": 4, "train/b": 4, "test": 3, "other": 1}), validation=2))
    assert data.test is None and len(data.notes) == 2


def test_size_and_channels_follow_the_images(make_folder: Make, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 3}, channels=1)
    assert load(settings(root)).geometry == Geometry((10, 12), 1)
    noise(1, (12, 11), 1).save(root / "a" / "other.png")
    assert load(settings(root)).geometry == Geometry((64, 64), 1)
    Image.new("RGB", (12, 10)).save(root / "a" / "other.png")
    assert load(settings(root)).geometry == Geometry((10, 12), 3)
    assert load(settings(root, image_size=(8, 6), channels=1)).train.images.shape[1:] == (1, 8, 6)


def test_groups_stay_on_one_side(make_folder: Make) -> None:
    root = make_folder({"a": 0, "b": 0})
    for place, name in enumerate("ab"):
        for specimen in range(6):
            for view in range(3):
                noise(100 * place + 10 * specimen + view).save(root / name / f"{name}{specimen}_{view}.png")
    data = load(settings(root, groups=r"^([ab]\d)_", validation=0.3))
    assert data.valid is not None and data.train.sources is not None and data.valid.sources is not None
    sides = [{Path(source).name.split("_")[0] for source in part.sources} for part in (data.train, data.valid)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 12
    with pytest.raises(DataError, match="matches none"):
        load(settings(root, groups="specimen"))
    with pytest.raises(DataError, match="regular expression"):
        load(settings(root, groups="("))
    with pytest.raises(DataError, match="belongs to one group"):
        load(settings(root, groups=r"^([ab])"))


def test_groups_on_both_sides_of_own_parts_are_noted(make_folder: Make) -> None:
    root = make_folder({"train/a": 2, "train/b": 2, "val/a": 2, "val/b": 2})
    notes = load(settings(root, groups=r"^(\d)")).notes
    assert len(notes) == 1 and "2 of the groups" in notes[0] and "too good" in notes[0]


def test_load_images_for_a_classifier(make_folder: Make) -> None:
    root = make_folder({"a": 2, "c": 2})
    (root / "a" / "broken.png").touch()
    left_out: list[Skipped] = []
    found = load_images(str(root), Geometry((4, 4), 1), ("c", "b", "a"), on_skip=left_out.append)
    assert found.classes == ("c", "b", "a") and found.labels.tolist() == [2, 2, 0, 0]
    assert [Path(skipped.path).name for skipped in left_out] == ["broken.png"]
    with pytest.raises(DataError, match="does not know: c"):
        load_images(str(root), Geometry((4, 4), 1), ("a", "b"))
    with pytest.raises(DataError, match="no valid images"):
        load_images(str(root), Geometry((4, 4), 1), ("a", "c"), split="valid")


def test_progress_comes_to_its_end(make_folder: Make) -> None:
    told: list[tuple[str, int, int]] = []
    load(settings(make_folder({"a": 3, "b": 3})), progress=lambda *what: told.append(what))
    assert ("decoding images", 6, 6) in told


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not hold for this user")
def test_what_may_not_be_read_is_reported(make_folder: Make) -> None:
    root = make_folder({"a": 3, "b": 3, "b/closed": 2})
    (root / "a" / "1.png").chmod(0)
    (root / "b" / "closed").chmod(0)
    try:
        data = load(settings(root))
    finally:
        (root / "b" / "closed").chmod(0o755)
    assert sorted(Path(skipped.path).name for skipped in data.skipped) == ["1.png", "closed"]


def test_photographs(shared: Path) -> None:
    data = load(settings(shared / "ants-bees"))
    assert data.classes == ("ants", "bees") and data.validation_origin == "folder" and data.test is None
    assert data.valid is not None and len(data.valid) == 153 and data.geometry == Geometry((64, 64), 3)
    assert not data.skipped
