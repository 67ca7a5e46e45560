"""The geometry of the networks for ImageNet, against Pillow's crop and resize one after the other."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.data import Geometry, decode
from neocog.data.geometry import Resize
from neocog.data.source import ArrayPixels

from .data_pictures import noise


def smooth(size: tuple[int, int]) -> Image.Image:
    """A picture without sharp edges, such as a photograph decoded at any scale shows alike."""
    return noise(1, (7, 5)).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("size", "box"), [((256, 256), (16, 16, 240, 240)), ((512, 256), (144, 16, 368, 240))])
def test_the_middle_224_of_256_pixels_are_shown_without_resizing(
    size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    image = noise(0, size)
    shown = decode(image, Geometry((224, 224), 3, "imagenet"))
    assert np.array_equal(shown, np.asarray(image.crop(box)).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("size", "target", "box"),
    [
        ((640, 480), (224, 224), (110, 30, 530, 450)),  # 420 = 7/8 of 480
        ((480, 640), (288, 288), (30, 110, 450, 530)),
        ((800, 320), (140, 280), (120, 20, 680, 300)),  # a frame twice as wide as high
        ((64, 64), (224, 224), (4, 4, 60, 60)),
    ],
)
def test_it_is_a_bicubic_picture_of_seven_eighths_of_the_shorter_side(
    size: tuple[int, int], target: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    image = smooth(size)
    reference = image.crop(box).resize(target[::-1], Image.Resampling.BICUBIC)
    shown = decode(image, Geometry(target, 3, "imagenet")).transpose(1, 2, 0)
    # A crop does not see the pixels around it, so its outermost pixels may differ.
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(shown[inner].astype(int) - np.asarray(reference)[inner]).max() <= 1


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_size_gives_the_frame(width: int, height: int, rows: int, columns: int) -> None:
    assert decode(noise(0, (width, height)), Geometry((rows, columns), 3, "imagenet")).shape == (3, rows, columns)


def test_a_large_jpeg_decoded_at_a_smaller_scale_looks_the_same() -> None:
    image = smooth((2400, 1800))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    geometry = Geometry((224, 224), 3, "imagenet")
    whole = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    expected = decode(Image.fromarray(whole), geometry).astype(int)
    assert np.abs(decode(buffer.getvalue(), geometry) - expected).max() <= 4


@pytest.mark.parametrize("resize", ["crop", "imagenet"])
def test_arrays_of_the_size_of_the_frame_are_treated_as_pictures_are(resize: Resize) -> None:
    picture = noise(2, (32, 32))
    geometry = Geometry((32, 32), 3, resize)
    out = np.empty((1, *geometry.shape), np.uint8)
    ArrayPixels(np.asarray(picture).transpose(2, 0, 1)[None]).read(geometry, out, None)
    assert np.array_equal(out[0], decode(picture, geometry))
