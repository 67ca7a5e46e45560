"""`resize = "pad"` and `"center"`: a picture keeps its own size, wherever its pixels come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import neocog
from neocog.classifier import Prediction
from neocog.data import DataSet, Geometry, decode, load
from neocog.data.decoding import to_picture
from neocog.data.source import ArrayPixels, UInt8
from neocog.recipe import DataSettings, Recipe

from .data_pictures import noise

SIDES = st.integers(1, 30)


def padded(image: UInt8, height: int, width: int) -> UInt8:
    """The definition, for (C, H, W): as many zeros before as after, one more after where the rest is odd."""
    down, right = height - image.shape[1], width - image.shape[2]
    return np.pad(image, ((0, 0), (down // 2, down - down // 2), (right // 2, right - right // 2)))


def read(images: UInt8, geometry: Geometry) -> UInt8:
    out = np.full((len(images), *geometry.shape), 77, np.uint8)
    kept, bad = ArrayPixels(images).read(geometry, out, None)
    assert kept.tolist() == list(range(len(images))) and not bad
    return out


@settings(max_examples=60, deadline=None)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.sampled_from([1, 3]))
def test_a_picture_that_fits_keeps_every_pixel(size: tuple[int, int], rest: tuple[int, int], channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (channels, *size), np.uint8)
    height, width = size[0] + rest[0], size[1] + rest[1]
    geometry = Geometry((height, width), channels, "pad")
    expected = padded(image, height, width)
    assert np.array_equal(decode(to_picture(image), geometry), expected)
    assert np.array_equal(read(image[None], geometry)[0], expected)


@settings(max_examples=40, deadline=None)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_a_larger_picture_is_shrunk_as_letterbox_does(size: tuple[int, int], rest: tuple[int, int]) -> None:
    target = (max(1, size[0] - rest[0]), size[1] + rest[1])
    image = noise(3, (size[1], size[0]))
    if target[0] < size[0]:
        expected = decode(image, Geometry(target, 3, "letterbox"))
        assert np.array_equal(decode(image, Geometry(target, 3, "pad")), expected)
        array = np.asarray(image).transpose(2, 0, 1)[None]
        assert np.array_equal(read(array, Geometry(target, 3, "pad"))[0], expected)


@settings(max_examples=80, deadline=None)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.sampled_from([1, 3]))
def test_center_shows_the_middle_at_its_own_size(size: tuple[int, int], frame: tuple[int, int], channels: int) -> None:
    image = np.random.default_rng(0).integers(1, 256, (channels, *size), np.uint8)
    # By the definition: black all around, then the frame's middle over the picture's.
    around = np.pad(image, ((0, 0), (40, 40), (40, 40)))
    top, left = (40 - (side - own) // 2 for side, own in zip(frame, size, strict=True))
    expected = around[:, top : top + frame[0], left : left + frame[1]]
    geometry = Geometry(frame, channels, "center")
    assert np.array_equal(decode(to_picture(image), geometry), expected)
    assert np.array_equal(read(image[None], geometry)[0], expected)


def test_a_jpeg_is_not_decoded_smaller_where_only_its_middle_is_shown(tmp_path: Path) -> None:
    picture = noise(5, (200, 120))
    picture.save(tmp_path / "large.jpg", quality=95)
    with Image.open(tmp_path / "large.jpg") as opened:
        whole = np.asarray(opened.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decode(tmp_path / "large.jpg", Geometry((20, 30), 3, "center")), whole[:, 50:70, 85:115])


def test_a_picture_of_the_very_size_stays_as_it_is() -> None:
    image = noise(4, (12, 10))
    assert np.array_equal(decode(image, Geometry((10, 12), 3, "pad")), np.asarray(image).transpose(2, 0, 1))


def test_arrays_of_other_channels_are_padded_as_files_are() -> None:
    gray = np.random.default_rng(1).integers(0, 256, (3, 1, 5, 6), np.uint8)
    colour = read(gray, Geometry((9, 9), 3, "pad"))
    assert all(
        np.array_equal(found, np.repeat(padded(image, 9, 9), 3, 0)) for found, image in zip(colour, gray, strict=True)
    )


def test_mnist_on_32x32_is_the_digits_and_two_lines_of_black_around() -> None:
    plain = load(DataSettings(source="mnist"))
    wide = load(DataSettings(source="mnist", image_size=(32, 32), resize="pad"))
    for one, other in ((plain.train, wide.train), (plain.valid, wide.valid), (plain.test, wide.test)):
        assert one is not None and other is not None
        assert torch.equal(other.images, torch.nn.functional.pad(one.images, (2, 2, 2, 2)))
        assert torch.equal(other.labels, one.labels)
    assert wide.geometry == Geometry((32, 32), 1, "pad")


def test_a_store_on_disk_holds_the_same_and_is_not_mixed_up(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"a": 5, "b": 5}, size=(12, 10))

    def loaded(cache: str, resize: str) -> DataSet:
        return load(DataSettings(source=str(root), image_size=(17, 16), cache=cache, resize=resize))  # type: ignore[arg-type]

    for resize in ("letterbox", "pad", "letterbox"):
        assert torch.equal(loaded("disk", resize).train.images, loaded("memory", resize).train.images)
    images = loaded("disk", "pad").train.images
    assert not images[:, :, :3].any() and not images[:, :, 13:].any() and images[:, :, 3:13, 2:14].any()


@pytest.mark.parametrize("form", ["file", "array"])
def test_prediction_sees_what_training_saw(tmp_path: Path, form: str) -> None:
    recipe = Recipe.load("digits").with_values(
        {
            "data.image_size": 13,
            "data.resize": "pad",
            "model.network": "conv 4 6x6 | subsample 2 | flatten | linear classes",
            "train.epochs": 1,
            "train.threads": 1,
        }
    )
    classifier = neocog.train(recipe, out=tmp_path / "run", progress=False).classifier()
    digits, wide = load(DataSettings(source="digits")), load(recipe.data)
    assert digits.test is not None and wide.test is not None
    assert wide.test.images.shape[2:] == (13, 13) and digits.test.images.shape[2:] == (8, 8)
    for image, seen in zip(digits.test.images[:5], wide.test.images, strict=False):
        path = tmp_path / "digit.png"
        Image.fromarray(image[0].numpy()).save(path)
        found = classifier.predict(path if form == "file" else image)
        with torch.no_grad():
            expected = torch.softmax(classifier.model(seen[None]), 1)[0]
        assert isinstance(found, Prediction)
        assert found.probability == expected.max().item()
        assert np.array_equal(decode(path, classifier.geometry), seen.numpy())
