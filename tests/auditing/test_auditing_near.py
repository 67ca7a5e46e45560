"""Fingerprints, neighbours, registration, and near duplicates made of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from neocog.auditing import nearest as nearest_module
from neocog.auditing.fingerprints import fingerprints, mirrored, symmetries
from neocog.auditing.inspecting import thumbnail
from neocog.auditing.near import near_pairs
from neocog.auditing.nearest import nearest, nearest_other, unit
from neocog.auditing.registration import FINE, overlap

from .conftest import scene


def pixels_of(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)


def small(picture: Image.Image) -> np.ndarray:
    picture = picture.convert("L")
    picture.thumbnail((FINE, FINE), Image.Resampling.BOX)
    return np.asarray(picture)[None]


def squares(count: int) -> np.ndarray:
    return np.stack([np.asarray(scene(seed, (32, 32)).convert("L")) for seed in range(count)])


def test_turned_and_mirrored_fingerprints_are_those_of_turned_and_mirrored_pictures() -> None:
    thumbs = squares(4)
    prints = fingerprints(thumbs)
    turned = [np.rot90(thumbs, times, axes=(1, 2)) for times in (1, 2, 3)]
    flipped = [np.rot90(thumbs[:, :, ::-1], times, axes=(1, 2)) for times in range(4)]
    expected = [fingerprints(np.ascontiguousarray(images)) for images in (*turned, *flipped)]
    found = list(symmetries(prints))
    assert len(found) == 7
    for one in expected:
        assert sum(np.allclose(one, other, atol=1e-5) for other in found) == 1
    np.testing.assert_allclose(mirrored(prints), expected[3], atol=1e-5)


@given(st.floats(0.4, 1.0), st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_fingerprints_know_neither_brightness_nor_contrast(contrast: float, brightness: int) -> None:
    thumb = squares(1).clip(20, 200)
    changed = np.rint(thumb * contrast + brightness).astype(np.uint8)
    one, other = fingerprints(thumb)[0], fingerprints(changed)[0]
    assert np.linalg.norm(one) == pytest.approx(1)
    assert one @ other > 0.999


def test_a_single_colour_has_no_fingerprint() -> None:
    assert not fingerprints(np.full((1, 32, 32), 90, np.uint8)).any()
    assert fingerprints(np.zeros((0, 32, 32), np.uint8)).shape == (0, 143)


@pytest.mark.parametrize("block", [1, 700, 10**9])
def test_neighbours_are_those_of_all_distances_whatever_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_module, "_BLOCK", block)
    draws = np.random.default_rng(0)
    vectors = unit(draws.normal(size=(120, 6)).astype(np.float32))
    others = unit(draws.normal(size=(120, 6)).astype(np.float32))
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    found = nearest(vectors)
    order = np.argsort(distances, axis=1)
    np.testing.assert_array_equal(found.rows, order[:, :5])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :5], atol=1e-3)
    np.testing.assert_allclose(found.scale, np.sort(distances, axis=1)[:, 23], atol=1e-3)
    across = np.linalg.norm(others[:, None] - vectors[None], axis=2)
    np.fill_diagonal(across, np.inf)
    rows, far = nearest_other(vectors, others)
    np.testing.assert_array_equal(rows, across.argmin(1))
    np.testing.assert_allclose(far, across.min(1), atol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_vectors_have_few_neighbours(count: int) -> None:
    found = nearest(unit(np.eye(3, dtype=np.float32)[:count]))
    assert found.rows.shape == (count, max(0, count - 1))
    assert found.scale.shape == (count,)


def test_a_part_fits_on_its_picture_and_on_no_other() -> None:
    picture = scene(5, (300, 200))
    for box in ((0, 0, 300, 200), (40, 20, 280, 190), (100, 60, 270, 170)):
        part = picture.crop(box)
        assert overlap(small(picture), small(part)) > 0.92, box
        assert overlap(small(ImageOps.mirror(part)), small(picture)) > 0.92, box
    assert overlap(small(picture), small(scene(6, (300, 200)))) < 0.8
    assert overlap(small(picture), np.full((1, 60, 90), 128, np.uint8)) < 0.1


def test_the_overlap_of_equal_shapes_is_the_correlation_of_the_pixels() -> None:
    one, other = small(scene(7)), small(ImageEnhance.Contrast(scene(7)).enhance(0.6))
    noisy = np.clip(other + np.random.default_rng(0).normal(0, 6, other.shape), 0, 255).astype(np.uint8)
    assert overlap(one, noisy) >= np.corrcoef(one.ravel(), noisy.ravel())[0, 1] - 1e-3


def copies_of(picture: Image.Image) -> dict[str, Image.Image]:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=20)
    return {
        "saved again": Image.open(file),
        "smaller": picture.resize((54, 40)),
        "brighter": ImageEnhance.Brightness(picture).enhance(1.3),
        "mirrored": ImageOps.mirror(picture),
        "turned": picture.rotate(90, expand=True),
        "upside down": picture.rotate(180),
        "a little cropped": picture.crop((0, 0, 150, 112)),
    }


def test_every_copy_is_found_and_nothing_else() -> None:
    pictures = [scene(seed) for seed in range(60)]
    expected = set()
    for place, name in enumerate(copies_of(pictures[0])):
        source = scene(100 + place)
        pictures.append(source)
        expected.add((len(pictures) - 1, len(pictures)))
        pictures.append(copies_of(source)[name])
    prints = fingerprints(np.stack([thumbnail(pixels_of(picture)) for picture in pictures]))
    pairs = near_pairs(prints, nearest(prints), None, lambda place: small(pictures[place]))
    assert {(pair.one, pair.other) for pair in pairs} == expected
    assert all(0 < pair.score <= 1 for pair in pairs)


def test_a_crop_that_only_features_bring_together_is_confirmed_by_the_pixels() -> None:
    pictures = [scene(seed) for seed in range(40)]
    pictures.append(scene(3).crop((50, 30, 150, 105)))
    prints = fingerprints(np.stack([thumbnail(pixels_of(picture)) for picture in pictures]))
    features = np.random.default_rng(0).normal(size=(41, 30)).astype(np.float32)
    # 3 and 40 show the same; 7 and 8 are alike to the features, but not the same picture
    features[40] = features[3] + features[40]
    features[8] = features[7] + features[8]

    def found(with_features: bool) -> set[tuple[int, int]]:
        known = nearest(unit(features)) if with_features else None
        pairs = near_pairs(prints, nearest(prints), known, lambda place: small(pictures[place]))
        return {(pair.one, pair.other) for pair in pairs}

    assert found(True) == {(3, 40)}
    assert found(False) == set()


def test_look_alike_digits_are_no_copies_but_a_brighter_one_is() -> None:
    from sklearn.datasets import load_digits

    digits = (load_digits().images * 15.9).astype(np.uint8)[:800, None]
    copy = (digits[10] * 0.8).astype(np.uint8)
    thumbs = np.stack([thumbnail(image) for image in [*digits, copy]])
    prints = fingerprints(thumbs)
    pairs = near_pairs(prints, nearest(prints), None, lambda place: pytest.fail("these are not laid over each other"))
    assert {(pair.one, pair.other) for pair in pairs} - {(31, 246)} == {(10, 800)}
