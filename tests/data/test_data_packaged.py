from __future__ import annotations

import gzip
import hashlib
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

from neocog.data import load, packaged
from neocog.data.registry import available, find
from neocog.errors import DataError
from neocog.recipe import DataSettings


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("file", packaged.FILES)
def test_packaged_bytes_are_the_published_ones(name: str, file: str, shared: Path) -> None:
    published = gzip.decompress((shared / name / f"{file}-ubyte.gz").read_bytes())
    assert packaged.unpack(name, file) == published


def test_fashion_split_is_scikit_learns() -> None:
    data = load(DataSettings(source="fashion-mnist", validation=0.2, split_seed=777))
    labels = np.frombuffer(packaged.unpack("fashion-mnist", "train-labels-idx1"), np.uint8, offset=8)
    images = np.frombuffer(packaged.unpack("fashion-mnist", "train-images-idx3"), np.uint8, offset=16)
    images = images.reshape(-1, 1, 28, 28)
    train, valid = train_test_split(np.arange(60_000), test_size=0.2, stratify=labels, random_state=777)
    assert data.valid is not None and data.test is not None
    assert np.array_equal(data.train.labels.numpy(), labels[train])
    assert np.array_equal(data.valid.labels.numpy(), labels[valid])
    assert np.array_equal(data.train.images.numpy(), images[train])
    assert np.array_equal(data.valid.images.numpy(), images[valid])
    assert data.test.images.shape == (10_000, 1, 28, 28)
    assert data.classes[0] == "T-shirt/top" and data.classes[9] == "Ankle boot"
    assert data.validation_origin == "split" and data.geometry.shape == (1, 28, 28)
    assert torch.equal(data.train.class_counts(), torch.full((10,), 4800))


def test_a_damaged_package_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "builtin").mkdir()
    path = tmp_path / "builtin" / "mnist-t10k-labels-idx1-ubyte.xz"
    monkeypatch.setattr(packaged.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match="Install neocog again"):
        packaged.unpack("mnist", "t10k-labels-idx1")
    path.write_bytes(lzma.compress(b"another content"))
    with pytest.raises(DataError, match="checksum is wrong"):
        packaged.unpack("mnist", "t10k-labels-idx1")


def test_checksums_are_those_of_whole_files() -> None:
    content = packaged.unpack("mnist", "t10k-labels-idx1")
    assert hashlib.sha256(content).hexdigest() == packaged.SHA256["mnist"][3]


def test_digits_are_scaled_and_split() -> None:
    from sklearn.datasets import load_digits

    data = load(DataSettings(source="digits", validation=0.1))
    assert data.valid is not None and data.test is not None
    assert (len(data.train) + len(data.valid), len(data.test)) == (1437, 360)
    assert data.geometry.shape == (1, 8, 8)
    everything = torch.cat([data.train.images, data.valid.images, data.test.images])
    published = np.floor(load_digits().images * 255 / 16 + 0.5).astype(np.uint8)
    assert sorted(map(bytes, everything.numpy())) == sorted(map(bytes, published))
    assert int(everything.max()) == 255


def test_registry_counts_are_right_for_what_needs_no_download() -> None:
    for entry in available():
        if entry.kind != "cifar":
            data = load(DataSettings(source=entry.name))
            assert data.valid is not None and data.test is not None
            assert (len(data.train) + len(data.valid), len(data.test)) == entry.images
            assert len(data.classes) == entry.classes
            assert "x".join(map(str, data.geometry.shape)) == entry.size


def test_names_are_found_generously_and_unknown_ones_get_the_nearest() -> None:
    assert find("Fashion_MNIST") is find("fashion-mnist") is not None
    assert find("no-such-set") is None
    with pytest.raises(DataError, match="Did you mean mnist"):
        load(DataSettings(source="mnits"))
    with pytest.raises(DataError, match=r"publishes no checksums.*train-images-idx3-ubyte.gz"):
        load(DataSettings(source="kmnist"))
    with pytest.raises(DataError, match="no data set is given"):
        load(DataSettings(source=" "))


def test_another_geometry_resizes_and_colours() -> None:
    data = load(DataSettings(source="digits", image_size=(16, 12), channels=3, resize="squash"))
    assert data.train.images.shape[1:] == (3, 16, 12)
    assert torch.equal(data.train.images[:, 0], data.train.images[:, 2])


def test_validation_on_the_test_images_is_labelled_so() -> None:
    data = load(DataSettings(source="digits", validation="test"))
    assert data.validation_origin == "test" and data.valid is not None and data.test is not None
    assert torch.equal(data.valid.images, data.test.images) and len(data.train) == 1437


def test_groups_need_files() -> None:
    with pytest.raises(DataError, match="groups"):
        load(DataSettings(source="digits", groups=r"^(\d+)_"))


def test_a_known_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    data = load(DataSettings(source="digits"))
    assert data.geometry.shape == (1, 8, 8) and "./digits" in data.notes[0]
    with pytest.raises(DataError, match="no folders inside"):
        load(DataSettings(source="./digits"))
