"""Augmentation: a batch of images in, the same batch randomly changed out.

The order is fixed, and every change is drawn for each image on its own:

1. geometry: horizontal flip, vertical flip, then zoom, shear, rotation and shift (crop is a shift by whole
   pixels) composed into one warp
2. policy: AutoAugment, RandAugment or TrivialAugment
3. colour: brightness, contrast, saturation, grayscale
4. blur, then noise
5. erase

Then images of a batch may be mixed with each other, and their labels with them: `Mixing`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neocog.augment import appearance, geometry, policies
from neocog.augment.draws import Draws
from neocog.augment.mixing import Mixing
from neocog.errors import DataError, RecipeError
from neocog.recipe import AugmentSettings

__all__ = ["Augmentation", "Mixing"]


class Augmentation:
    """The random changes that `settings` asks for, as a function of the images and a seed.

    Saturation, grayscale and a policy's `color` need three channels; with one channel they leave an image as
    it is. Every other change works on any image, channel by channel.

    `channels`: 1 or 3. Raises `RecipeError` where a range leaves no image (a zoom of 0).
    """

    def __init__(self, settings: AugmentSettings, *, channels: int) -> None:
        if channels not in (1, 3):
            raise RecipeError(f"expected images of 1 or 3 channels, got {channels}. Set [data] channels to 1 or 3.")
        if settings.zoom[0] <= 0:
            raise RecipeError(
                f"augment.zoom = {list(settings.zoom)}: a magnification of 0 leaves no image. "
                "Give a range above 0, such as [0.7, 1.3]."
            )
        # mixing takes two images and their labels, which is the affair of `Mixing`
        self.settings = settings.model_copy(update={"mixup": 0.0, "cutmix": 0.0})
        self.channels = channels

    @torch.no_grad()
    def __call__(self, images: Tensor, *, seed: int, batch_size: int | None = None, start: int = 0) -> Tensor:
        """Change `images` (B, C, H, W), uint8; gives a tensor of the same shape, dtype and device.

        The draws of an image follow from `seed` and its place in the batch of `batch_size` images (B where
        left out) of which `images` is the part that begins at `start`: however a batch is cut, each image is
        changed in the same way. An image for which nothing is drawn comes back bit for bit; with empty
        settings `images` itself comes back. PyTorch's own generators are neither used nor moved.

        Raises `DataError` where the images or their place in the batch do not fit.
        """
        batch_size = len(images) if batch_size is None else batch_size
        self._check(images, batch_size, start)
        if not self.settings.active or len(images) == 0:
            return images
        draws = Draws(seed, batch_size, start, len(images))
        changed = geometry.flip(images, self.settings, draws)
        changed = geometry.warp(changed, self.settings, draws)
        changed = policies.apply(changed, self.settings.policy, draws)
        changed = appearance.adjust(changed, self.settings, draws)
        return appearance.erase(changed, self.settings, draws)

    def _check(self, images: Tensor, batch_size: int, start: int) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != self.channels:
            raise DataError(
                f"expected uint8 images of shape (B, {self.channels}, H, W), got {images.dtype} of shape "
                f"{tuple(images.shape)}. Augment before scaling, with the channels that the images have."
            )
        if start < 0 or start + len(images) > batch_size:
            raise DataError(
                f"images {start} to {start + len(images)} do not lie in a batch of {batch_size}. "
                "Give the size of the whole batch as batch_size and the place of the first image as start."
            )
