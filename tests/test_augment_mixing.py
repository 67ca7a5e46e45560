"""MixUp and CutMix against their definitions, and what training makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from neocog.augment import Augmentation, Mixing
from neocog.augment.mixing import cutmix, mixup
from neocog.errors import DataError
from neocog.recipe import AugmentSettings
from neocog.training.batches import TensorBatches, most_probable


def numbered(count: int, classes: int, side: int = 16) -> tuple[Tensor, Tensor]:
    """Images (N, 1, side, side) of one shade each, which tells their number, and labels."""
    shades = torch.arange(count, dtype=torch.uint8) * (250 // count)
    return shades.view(-1, 1, 1, 1).expand(count, 1, side, side).contiguous(), torch.arange(count) % classes


def mixing(classes: int = 3, **alphas: float) -> Mixing:
    return Mixing(AugmentSettings.model_validate(alphas), classes)


def test_mixup_is_the_weighted_sum_of_the_paper() -> None:
    draws = np.random.default_rng(0)
    ours, others = draws.integers(0, 256, (2, 7, 3, 5, 4)).astype(np.uint8)
    shares = draws.random(7)
    mixed, kept = mixup(torch.from_numpy(ours), torch.from_numpy(others), torch.from_numpy(shares), draws)
    weights = shares[:, None, None, None]
    expected = weights * ours + (1 - weights) * others
    assert mixed.dtype == torch.uint8
    # half a level of rounding, and the last bits of float32
    assert np.abs(mixed.numpy() - expected).max() <= 0.5 + 1e-3
    assert np.array_equal(kept.numpy(), shares)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1))
def test_cutmix_puts_in_one_rectangle_and_counts_its_pixels(height: int, width: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    ours, others = torch.zeros(5, 2, height, width, dtype=torch.uint8), torch.ones(5, 2, height, width).byte()
    shares = torch.from_numpy(draws.beta(1.0, 1.0, 5))
    mixed, kept = cutmix(ours, others, shares, draws)
    for image, share, wanted in zip(mixed, kept.tolist(), shares.tolist(), strict=True):
        inside = image[0].bool()
        assert torch.equal(image[0], image[1])
        rows, columns = inside.any(1).nonzero(), inside.any(0).nonzero()
        area = int(inside.sum())
        # all of its rows are alike: a rectangle
        assert area == (0 if not area else int(rows[-1] - rows[0] + 1) * int(columns[-1] - columns[0] + 1))
        assert share == pytest.approx(1 - area / (height * width), abs=1e-12)
        # the border may cut it, never enlarge it
        assert area <= (1 - wanted) * height * width + 1e-9


def test_a_rectangle_that_does_not_touch_the_border_has_the_area_that_was_drawn() -> None:
    shares = torch.full((400,), 0.75, dtype=torch.float64)
    ours = torch.zeros(400, 1, 40, 40)
    mixed, kept = cutmix(ours, ours + 1, shares, np.random.default_rng(0))
    # a quarter of the area has half of the side: 20 pixels
    assert float(kept.min()) == pytest.approx(0.75)
    assert float(mixed.sum((1, 2, 3)).max()) == 400


@pytest.mark.parametrize("alphas", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_labels_tell_what_is_in_an_image(alphas: dict[str, float]) -> None:
    images, labels = numbered(10, 10)
    levels = images[:, 0, 0, 0].double()
    for seed in range(6):
        mixed, mixture = mixing(10, **alphas)(images, labels, seed=seed)
        assert mixed.dtype == torch.uint8 and mixed.shape == images.shape
        assert mixture.dtype == torch.float32 and torch.allclose(mixture.sum(1), torch.ones(10))
        assert ((mixture > 0).sum(1) <= 2).all()
        # the mean shade is the mixture of the shades, up to the rounding of a pixel
        assert ((mixed.double().mean((1, 2, 3)) - mixture.double() @ levels).abs() <= 0.5001).all()


def test_two_images_of_one_class_stay_that_class() -> None:
    images, _ = numbered(8, 1)
    _, mixture = mixing(3, mixup=1.0)(images, torch.full((8,), 2), seed=1)
    assert torch.equal(mixture, torch.tensor([[0.0, 0.0, 1.0]]).expand(8, 3))


def test_shares_are_drawn_from_beta() -> None:
    images, labels = torch.zeros(4000, 1, 1, 1), torch.arange(4000)
    _, mixture = mixing(4000, mixup=0.4)(images, labels, seed=0)
    assert stats.kstest(mixture.diagonal().double().numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_both_are_drawn_where_both_are_asked_for_and_one_for_a_batch() -> None:
    images, labels = numbered(8, 8)
    kinds = set[bool]()
    for seed in range(20):
        mixed, mixture = mixing(8, mixup=1.0, cutmix=1.0)(images, labels, seed=seed)
        varied = [bool((image != image[0, 0, 0]).any()) for image in mixed]
        really = [bool(0.05 < row.max() < 0.95) for row in mixture]
        # of images of one shade, CutMix alone leaves two shades in one
        assert not any(varied) or [a for a, b in zip(varied, really, strict=True) if b] == [True] * sum(really)
        kinds.add(any(varied))
    assert kinds == {True, False}


def test_mixing_follows_from_the_seed_and_moves_no_generator() -> None:
    images, labels = numbered(16, 3)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    first, second, other = (mixing(mixup=0.3, cutmix=1.0)(images, labels, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[1], other[1])
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # type: ignore[index]


def test_features_and_floats_are_mixed_without_rounding() -> None:
    features = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    mixed, mixture = mixing(2, mixup=1.0)(features, torch.tensor([0, 1]), seed=3)
    assert torch.allclose(mixed, mixture.flip(1))


def test_nothing_to_mix_is_refused() -> None:
    with pytest.raises(DataError, match="there is nothing to mix"):
        Mixing(AugmentSettings(rotate=3.0), 2)


def test_augmentation_leaves_mixing_to_mixing() -> None:
    images, _ = numbered(4, 2)
    assert Augmentation(AugmentSettings(mixup=1.0, cutmix=1.0), channels=1)(images, seed=0) is images


def test_a_batch_is_augmented_then_mixed_and_an_epoch_can_begin_at_any_step() -> None:
    images, labels = numbered(21, 3)

    def batches() -> TensorBatches:
        augment = Augmentation(AugmentSettings(brightness=(0.0, 0.0)), channels=1)
        return TensorBatches(images, labels, 5, seed=4, augment=augment, mix=mixing(mixup=0.2, cutmix=1.0))

    whole = list(batches().epoch(1, 2, 0))
    assert [tuple(mixture.shape) for _, mixture in whole] == [(5, 3), (5, 3), (5, 3), (6, 3)]
    assert all(not pixels.any() for pixels, _ in whole)
    for start in range(len(whole)):
        for (pixels, mixture), (expected, same) in zip(batches().epoch(1, 2, start), whole[start:], strict=True):
            assert torch.equal(pixels, expected) and torch.equal(mixture, same)
    assert not torch.equal(whole[0][1], next(batches().epoch(1, 3, 0))[1])


def test_the_most_probable_class_of_labels_of_both_kinds() -> None:
    assert most_probable(torch.tensor([2, 0])).tolist() == [2, 0]
    assert most_probable(torch.tensor([[0.2, 0.8], [0.6, 0.4]])).tolist() == [1, 0]
