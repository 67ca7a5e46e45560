from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neocog.data import load, load_images
from neocog.data.geometry import Geometry
from neocog.data.idx import parse_idx
from neocog.errors import DataError
from neocog.recipe import DataSettings


def write(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    return header + array.tobytes()


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)))
def test_what_is_written_is_read(array: np.ndarray) -> None:
    assert np.array_equal(parse_idx(write(array), "it"), array)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_array_or_a_data_error(content: bytes) -> None:
    try:
        array = parse_idx(content, "it")
    except DataError as error:
        assert "it" in str(error)
    else:
        assert write(array) == content


@given(hnp.arrays(np.uint8, (2, 3, 3)), st.integers(1, 33))
def test_a_truncated_file_is_refused(array: np.ndarray, cut: int) -> None:
    with pytest.raises(DataError):
        parse_idx(write(array)[:-cut], "it")


def fill(folder: Path, *, packed: bool, joint: str = "-", test: bool = True) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (12, 5, 4), np.uint8)
    labels = np.array([0, 1, 2] * 4, np.uint8)
    folder.mkdir()
    for prefix in ("train", "t10k") if test else ("train",):
        for what, array in (("images", images), ("labels", labels)):
            name = f"{prefix}-{what}{joint}idx{array.ndim}-ubyte" + (".gz" if packed else "")
            (folder / name).write_bytes(gzip.compress(write(array)) if packed else write(array))
    return images, labels


@pytest.mark.parametrize(("packed", "joint"), [(True, "-"), (False, "-"), (False, ".")])
def test_a_folder_of_idx_files_is_a_data_set(tmp_path: Path, packed: bool, joint: str) -> None:
    images, labels = fill(tmp_path / "mine", packed=packed, joint=joint)
    data = load(DataSettings(source=str(tmp_path / "mine"), validation=3))
    assert data.name == "mine" and data.classes == ("0", "1", "2")
    assert data.valid is not None and data.test is not None
    assert (len(data.train), len(data.valid)) == (9, 3)
    assert np.array_equal(data.test.images.numpy()[:, 0], images)
    assert np.array_equal(data.test.labels.numpy(), labels)


def test_load_images_takes_the_test_part(tmp_path: Path) -> None:
    images, _ = fill(tmp_path / "mine", packed=False)
    found = load_images(str(tmp_path / "mine"), Geometry((5, 4), 1), ("0", "1", "2"))
    assert np.array_equal(found.images.numpy()[:, 0], images)


def test_missing_and_unfitting_files_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "one", packed=False)
    (tmp_path / "one" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load(DataSettings(source=str(tmp_path / "one")))
    fill(tmp_path / "two", packed=False, test=False)
    (tmp_path / "two" / "train-labels-idx1-ubyte").write_bytes(write(np.zeros(5, np.uint8)))
    with pytest.raises(DataError, match="12 images, but 5 labels"):
        load(DataSettings(source=str(tmp_path / "two")))
    (tmp_path / "two" / "train-labels-idx1-ubyte").write_bytes(gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(DataError, match="cannot read"):
        load(DataSettings(source=str(tmp_path / "two")))
