"""Augmentation against definitions that do not share its code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from neocog.augment import Augmentation, appearance, policies
from neocog.augment.draws import Draws, to_bytes, to_unit
from neocog.errors import DataError, RecipeError
from neocog.recipe import AugmentSettings

POLICIES = ["autoaugment-imagenet", "autoaugment-cifar10", "autoaugment-svhn", "randaugment", "trivialaugment"]
EVERYTHING: dict[str, Any] = {
    "horizontal_flip": 0.5, "vertical_flip": 0.3, "rotate": 30.0, "rotate_choices": [45.0, -45.0], "shift_x": 0.1,
    "shift_y": 0.1, "shear": 0.5, "zoom": (0.7, 1.3), "crop": 2, "brightness": (0.5, 1.5), "contrast": (0.5, 1.5),
    "saturation": (0.0, 2.0), "grayscale": 0.3, "blur": 1.0, "noise": 0.1, "erase": 0.5,
}  # fmt: skip


def random_images(count: int, channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def augment(images: Tensor, seed: int = 0, **options: Any) -> Tensor:
    return Augmentation(AugmentSettings(**options), channels=images.shape[1])(images, seed=seed)


def as_pil(image: Tensor) -> Image.Image:
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def as_levels(image: Image.Image) -> Tensor:
    array = np.asarray(image).astype(np.int64)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_flips_are_exact(channels: int) -> None:
    images = random_images(5, channels, 9, 12)
    assert torch.equal(augment(images, horizontal_flip=1.0), torch.flip(images, [3]))
    assert torch.equal(augment(images, vertical_flip=1.0), torch.flip(images, [2]))
    assert torch.equal(augment(images, horizontal_flip=1.0, vertical_flip=1.0), torch.flip(images, [2, 3]))


@pytest.mark.parametrize("turns", [1, 2, 3, -1])
@pytest.mark.parametrize("side", [28, 31])
def test_quarter_turns_are_counter_clockwise_and_exact(turns: int, side: int) -> None:
    images = random_images(4, 3, side, side)
    assert torch.equal(augment(images, rotate_choices=[90.0 * turns]), torch.rot90(images, turns, [2, 3]))


def test_an_exact_angle_agrees_with_pillow() -> None:
    smooth = appearance.blur(random_images(1, 1, 41, 41).float() / 255, torch.tensor([3.0]), 3.0)
    images = (smooth * 255).round().to(torch.uint8)
    turned = augment(images, rotate_choices=[45.0])[0].long()
    expected = as_levels(as_pil(images[0]).rotate(45, resample=Image.Resampling.BILINEAR))
    inner = (slice(None), slice(12, 29), slice(12, 29))
    assert (turned - expected)[inner].abs().max() <= 1


def test_rotate_choices_are_all_drawn_and_nothing_else() -> None:
    images = random_images(1, 1, 15, 15).expand(64, 1, 15, 15).contiguous()
    quarters = {tuple(torch.rot90(images[0], k, [1, 2]).flatten().tolist()) for k in (1, 3)}
    assert {tuple(image.flatten().tolist()) for image in augment(images, rotate_choices=[90.0, -90.0])} == quarters


def test_crop_is_a_padded_image_cropped_at_every_offset() -> None:
    images = random_images(400, 1, 6, 7)
    cropped = augment(images, crop=2)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    seen = set()
    for image, source in zip(cropped, padded, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if torch.equal(source[:, y : y + 6, x : x + 7], image)]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 25


def test_a_shift_moves_the_centre_of_mass_within_its_range() -> None:
    images = torch.zeros(200, 1, 41, 41, dtype=torch.uint8)
    images[:, :, 20, 20] = 255
    shifted = augment(images, shift_x=0.1).double()
    line = torch.arange(41, dtype=torch.float64) - 20
    moved = (shifted.sum((1, 2)) * line).sum(1) / shifted.sum((1, 2, 3))
    assert moved.abs().max() <= 4.1 + 0.01
    assert moved.min() < -3 and moved.max() > 3
    assert torch.equal(shifted.sum((1, 3)).argmax(1), torch.full((200,), 20))


def test_shear_moves_rows_by_the_tangent() -> None:
    settings_ = AugmentSettings(shear=0.5)
    images = torch.zeros(64, 1, 41, 41, dtype=torch.uint8)
    images[:, :, 10, 20] = 255
    sheared = Augmentation(settings_, channels=1)(images, seed=3).double()
    angles = Draws(3, 64, 0, 64).either_side("shear", 0.5)
    line = torch.arange(41, dtype=torch.float64) - 20
    moved = (sheared.sum((1, 2)) * line).sum(1) / sheared.sum((1, 2, 3))
    assert torch.allclose(moved, -10 * torch.tan(angles), atol=0.02)


def test_zoom_magnifies_about_the_centre() -> None:
    images = random_images(2, 1, 41, 41)
    assert torch.equal(augment(images, zoom=(2.0, 2.0))[:, :, ::2, ::2], images[:, :, 10:31, 10:31])
    smaller = torch.zeros_like(images)
    smaller[:, :, 10:31, 10:31] = images[:, :, ::2, ::2]
    assert torch.equal(augment(images, zoom=(0.5, 0.5)), smaller)


def test_zoom_of_one_changes_nothing() -> None:
    images = random_images(3, 3, 17, 23)
    assert torch.equal(augment(images, zoom=(1.0, 1.0), horizontal_flip=0.0), images)


@pytest.mark.parametrize("factor", [0.0, 0.37, 1.0, 1.8])
def test_brightness_in_float64(factor: float) -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    expected = (images.double() * factor).clamp(max=255)
    assert (augment(images, brightness=(factor, factor)).double() - expected).abs().max() <= 0.5001


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["contrast", "saturation"])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.7])
def test_contrast_and_saturation_agree_with_pillow(channels: int, name: str, factor: float) -> None:
    images = random_images(2, channels, 20, 24)
    changed = augment(images, **{name: (factor, factor)})
    enhancer = ImageEnhance.Contrast if name == "contrast" else ImageEnhance.Color
    for before, after in zip(images, changed, strict=True):
        expected = as_levels(enhancer(as_pil(before)).enhance(factor))
        # Pillow rounds the gray value before it uses it, and cuts the fraction off at the end.
        assert (after.long() - expected).abs().max() <= 2


def test_grayscale_is_luma_on_colour_and_nothing_on_gray() -> None:
    colour, gray = random_images(3, 3, 8, 8), random_images(3, 1, 8, 8)
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    expected = (colour.double() * weights).sum(1, keepdim=True).expand(3, 3, 8, 8)
    assert (augment(colour, grayscale=1.0).double() - expected).abs().max() <= 0.5001
    assert torch.equal(augment(gray, grayscale=1.0), gray)


def test_blur_is_the_gaussian_sum_written_out() -> None:
    image = torch.rand(1, 1, 9, 9, dtype=torch.float32, generator=torch.Generator().manual_seed(1))
    blurred = appearance.blur(image, torch.tensor([0.8]), 0.8)[0, 0].double()
    weights = np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    padded = np.pad(image[0, 0].double().numpy(), 3, mode="reflect")
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    expected = [[(padded[y : y + 7, x : x + 7] * kernel).sum() for x in range(9)] for y in range(9)]
    assert torch.allclose(blurred, torch.tensor(expected), atol=1e-5)


def test_blur_fits_images_smaller_than_its_kernel() -> None:
    flat = torch.full((2, 1, 3, 1), 99, dtype=torch.uint8)
    assert torch.equal(augment(flat, blur=32.0), flat)


def test_noise_has_the_standard_deviation_asked_for() -> None:
    images = torch.full((16, 1, 64, 64), 128, dtype=torch.uint8)
    noise = augment(images, noise=0.1).double() - 128
    assert noise.std() / 255 == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 0.5


def test_erase_blanks_one_rectangle_of_the_published_size() -> None:
    images = torch.full((200, 3, 40, 50), 255, dtype=torch.uint8)
    for image in augment(images, erase=1.0):
        blank = image[0] == 0
        rows, columns = blank.any(1).nonzero().flatten(), blank.any(0).nonzero().flatten()
        assert blank[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert int(blank.sum()) == len(rows) * len(columns)
        assert 0.015 <= blank.double().mean() <= 0.42
        assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["sharpness", "posterize", "solarize", "auto_contrast", "equalize", "invert"])
def test_policy_operations_agree_with_pillow(channels: int, name: str) -> None:
    images = random_images(2, channels, 21, 18)
    images[1] = images[1] // 3 + 40
    step = policies.Step(
        torch.full((2,), policies._OPERATIONS.index(name)),
        torch.tensor([4 / 9, 1.0], dtype=torch.float64),
        torch.tensor([1.0, -1.0], dtype=torch.float64),
    )
    changed = policies._apply_step(images, step, policies._NARROW)
    expected = [
        {
            "sharpness": lambda im, k: ImageEnhance.Sharpness(im).enhance((1.4, 0.1)[k]),
            "posterize": lambda im, k: ImageOps.posterize(im, (6, 4)[k]),
            "solarize": lambda im, k: ImageOps.solarize(im, (142, 0)[k]),
            "auto_contrast": lambda im, k: ImageOps.autocontrast(im),
            "equalize": lambda im, k: ImageOps.equalize(im),
            "invert": lambda im, k: ImageOps.invert(im),
        }[name](as_pil(image), place)
        for place, image in enumerate(images)
    ]
    close = {"sharpness": 2, "auto_contrast": 1}.get(name, 0)
    for after, pillow in zip(changed, expected, strict=True):
        assert (after.long() - as_levels(pillow)).abs().max() <= close


def test_a_flat_channel_survives_auto_contrast() -> None:
    flat = torch.full((1, 3, 5, 5), 0.4)
    assert torch.equal(policies._auto_contrast(flat, torch.ones(1)), flat)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_policies_draw_for_each_image(policy: str, channels: int) -> None:
    images = random_images(1, channels, 24, 24).expand(64, channels, 24, 24).contiguous()
    changed = augment(images, policy=policy)
    assert len({image.numpy().tobytes() for image in changed}) > 10


def test_autoaugment_follows_the_published_table() -> None:
    draws = Draws(5, 20_000, 0, 20_000)
    first = policies._steps("autoaugment-cifar10", draws)[0]
    # Of the 25 first operations of the CIFAR-10 policy: invert in one, with probability 0.1.
    share = (first.operation == policies._OPERATIONS.index("invert")).double().mean()
    assert share == pytest.approx(0.1 / 25, rel=0.35)
    # translate_y in three, with probabilities 0.4, 0.9 and 0.7.
    share = (first.operation == policies._OPERATIONS.index("translate_y")).double().mean()
    assert share == pytest.approx((0.4 + 0.9 + 0.7) / 25, rel=0.1)


def test_bytes_survive_the_way_to_unit_and_back() -> None:
    images = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(to_unit(images)), images)


def test_images_for_which_nothing_is_drawn_stay_bit_for_bit() -> None:
    images = random_images(100, 3, 12, 12)
    changed = augment(images, horizontal_flip=0.3, erase=0.2, grayscale=0.2)
    same = (changed == images).flatten(1).all(1).double().mean()
    assert same == pytest.approx(0.7 * 0.8 * 0.8, abs=0.15)


def test_empty_settings_give_the_images_themselves() -> None:
    images = random_images(2, 1, 4, 4)
    assert augment(images) is images


def test_the_images_given_are_not_written_to() -> None:
    images = random_images(8, 3, 16, 16)
    before = images.clone()
    for policy in ["none", *POLICIES]:
        augment(images, policy=policy, **EVERYTHING)
        assert torch.equal(images, before)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1), count=st.integers(1, 24), cut=st.floats(0, 1),
    channels=st.sampled_from([1, 3]), policy=st.sampled_from(["none", *POLICIES]),
)  # fmt: skip
def test_any_part_of_a_batch_equals_its_part_of_the_whole(
    seed: int, count: int, cut: float, channels: int, policy: str
) -> None:
    images = random_images(count, channels, 13, 17, seed % 1000)
    augmentation = Augmentation(AugmentSettings(policy=policy, **EVERYTHING), channels=channels)  # type: ignore[arg-type]
    state = torch.get_rng_state()
    whole = augmentation(images, seed=seed)
    place = round(cut * count)
    parts = [
        augmentation(images[:place], seed=seed, batch_size=count),
        augmentation(images[place:], seed=seed, batch_size=count, start=place),
    ]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(torch.get_rng_state(), state)
    assert whole.shape == images.shape and whole.dtype == torch.uint8


def test_seeds_that_differ_in_their_high_bits_only_differ() -> None:
    images = random_images(32, 1, 10, 10)
    assert not torch.equal(augment(images, seed=1, rotate=90.0), augment(images, seed=1 + 2**40, rotate=90.0))
    assert torch.equal(augment(images, seed=1, rotate=90.0), augment(images, seed=1, rotate=90.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_nearly_the_same_images() -> None:
    images = random_images(64, 3, 32, 32)
    options = {**EVERYTHING, "noise": 0.0}
    here = augment(images, **options)
    there = augment(images.cuda(), **options)
    assert there.is_cuda
    assert ((here.long() - there.cpu().long()).abs() > 1).double().mean() < 1e-3


@pytest.mark.parametrize(
    ("images", "place", "message"),
    [
        (torch.zeros(2, 1, 4, 4), {}, "expected uint8 images"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), {}, r"shape \(B, 1, H, W\)"),
        (torch.zeros(4, 4, dtype=torch.uint8), {}, r"of shape \(4, 4\)"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), {"batch_size": 3, "start": 2}, "do not lie in a batch of 3"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), {"start": -1}, "do not lie in a batch"),
    ],
)
def test_what_does_not_fit_is_refused(images: Tensor, place: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Augmentation(AugmentSettings(erase=1.0), channels=1)(images, seed=0, **place)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(RecipeError, match="leaves no image"):
        Augmentation(AugmentSettings(zoom=(0.0, 1.0)), channels=1)
    with pytest.raises(RecipeError, match="1 or 3 channels"):
        Augmentation(AugmentSettings(), channels=4)


def test_an_empty_batch_comes_back() -> None:
    assert augment(torch.zeros(0, 1, 4, 4, dtype=torch.uint8), rotate=10.0).shape == (0, 1, 4, 4)


def test_published_subpolicies_use_known_operations_and_levels() -> None:
    for subpolicies in policies._SUBPOLICIES.values():
        assert len(subpolicies) == 25
        for operation, probability, level in (entry for pair in subpolicies for entry in pair):
            assert operation in policies._OPERATIONS
            assert 0 <= probability <= 1
            assert level is None or 0 <= level <= 9
            assert math.isfinite(probability)


# (largest magnitude, levels) as torchvision/transforms/autoaugment.py has them; shears, shifts, angles and
# enhancements also go to the other side.
_NARROW = {"shear_x": 0.3, "translate_x": 150 / 331 * 100, "rotate": 30.0, "brightness": 0.9, "posterize": 4}
_WIDE = {"shear_x": 0.99, "translate_x": 32.0, "rotate": 135.0, "brightness": 0.99, "posterize": 6}


@pytest.mark.parametrize(
    ("policy", "published", "levels"),
    [("autoaugment-imagenet", _NARROW, 10), ("randaugment", _NARROW, 31), ("trivialaugment", _WIDE, 31)],
)
def test_magnitudes_are_the_published_ones(policy: str, published: dict[str, float], levels: int) -> None:
    ranges = policies._WIDE if policy == "trivialaugment" else policies._NARROW
    strength = torch.arange(levels, dtype=torch.float64) / (levels - 1)

    def step(name: str) -> policies.Step:
        return policies.Step(torch.full((levels,), policies._OPERATIONS.index(name)), strength, -torch.ones(levels))

    def line(largest: float) -> np.ndarray[Any, Any]:
        return np.linspace(0, largest, levels)

    def matrices(name: str) -> np.ndarray[Any, Any]:
        return policies._matrices(step(name), ranges, 331, 100).numpy()

    assert np.allclose(matrices("shear_x")[:, 0, 1], -line(published["shear_x"]))
    assert np.allclose(matrices("translate_x")[:, 0, 2], -np.trunc(line(published["translate_x"]) + 1e-9))
    turned = matrices("rotate")
    # a negative angle turns clockwise
    assert np.allclose(np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 0, 0])), line(published["rotate"]))
    enhanced = policies._magnitudes("brightness", step("brightness"), ranges).numpy()
    assert np.allclose(enhanced, 1 - line(published["brightness"]))
    bits = policies._magnitudes("posterize", step("posterize"), ranges).numpy()
    assert np.array_equal(bits, 8 - np.round(np.arange(levels) / ((levels - 1) / published["posterize"])))
    thresholds = policies._magnitudes("solarize", step("solarize"), ranges).numpy() * 255
    assert np.array_equal(np.ceil(thresholds), np.ceil(np.linspace(255, 0, levels) - 1e-5))


def test_randaugment_does_two_operations_at_level_nine_of_thirty() -> None:
    first, second = policies._steps("randaugment", Draws(0, 50, 0, 50))
    for step in (first, second):
        assert torch.equal(step.strength, torch.full((50,), 9 / 30))
        assert set(step.operation.tolist()) <= set(range(14))
    assert not torch.equal(first.operation, second.operation)
    [only] = policies._steps("trivialaugment", Draws(0, 5000, 0, 5000))
    assert torch.equal(torch.unique(only.strength), torch.arange(31) / 30)
    assert torch.equal(torch.unique(only.operation), torch.arange(14))
