"""Images shifted by whole pixels, and the accuracy on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neocog.classifier import Classifier
from neocog.data import ImageSet
from neocog.errors import DataError
from neocog.metadata import Metadata
from neocog.models import build
from neocog.reproduction.shift import shift, shifted_accuracies

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (3, 2, 4, 5), dtype=np.uint8))


@pytest.mark.parametrize("rows", [-7, -4, -3, -1, 0, 1, 3, 4, 7])
@pytest.mark.parametrize("columns", [-9, -5, -2, 0, 2, 4, 5])
def test_each_pixel_moves_and_zeros_enter(rows: int, columns: int) -> None:
    expected = np.zeros(IMAGES.shape, np.uint8)
    for image, channel, row, column in np.ndindex(*IMAGES.shape):
        if 0 <= row - rows < 4 and 0 <= column - columns < 5:
            expected[image, channel, row, column] = IMAGES[image, channel, row - rows, column - columns]
    moved = shift(IMAGES, rows, columns)
    assert moved.dtype == torch.uint8
    assert np.array_equal(moved.numpy(), expected)


def test_the_images_themselves_stay_as_they_are() -> None:
    before = IMAGES.clone()
    shift(IMAGES, 0, 0).zero_()
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("images", [IMAGES.float(), IMAGES[0]], ids=["floats", "one image"])
def test_other_images_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(DataError, match="expected uint8 images"):
        shift(images, 1, 0)


def sees_one_pixel() -> Classifier:
    """A classifier that answers 1 where the middle pixel of a 5x5 image is lit, else 0."""
    network = build("flatten | linear classes", (1, 5, 5), 2, seed=0)
    linear = network.get_submodule("linear1")
    with torch.no_grad():
        linear.weight.zero_()  # type: ignore[operator]
        linear.weight[1, 12] = 2.0  # type: ignore[index]
        linear.bias.copy_(torch.tensor([1.0, 0.0]))  # type: ignore[operator, union-attr]
    metadata = Metadata("flatten | linear classes", "notation", ("dark", "lit"), (5, 5), 1, "crop", (0.0,), (1.0,))
    return Classifier(network, metadata)


def test_each_distance_is_the_mean_over_four_directions() -> None:
    images = torch.zeros(2, 1, 5, 5, dtype=torch.uint8)
    # The middle is lit after no shift, after 1 down, and after 2 to the left; the second image is all dark.
    images[0, 0, 2, 2] = images[0, 0, 1, 2] = images[0, 0, 2, 4] = 255
    labelled = ImageSet(images, torch.tensor([1, 0]), ("dark", "lit"))
    found = shifted_accuracies(sees_one_pixel(), labelled, 3)
    assert found == [1.0, (1 + 3 * 0.5) / 4, (1 + 3 * 0.5) / 4, 0.5]
