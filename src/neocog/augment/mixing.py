"""MixUp and CutMix: two images of a batch become one, and so do their labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.errors import DataError
from neocog.settings import AugmentSettings
from neocog.training.keys import key


class Mixing:
    """The mixing of images that `settings` ask for, as a function of a whole batch and a seed.

    Each image keeps a share drawn from Beta(alpha, alpha) for itself; the rest comes from a partner, another image of
    the batch. MixUp blends the pixels (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018); CutMix puts a
    rectangle of the partner into the image (Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers
    with Localizable Features", 2019), and the share is what the rectangle leaves. Where both are asked for, one of
    them is drawn for each batch. Published are one share a batch; here each image has its own, as in later practice.

    `num_classes` is the number of columns of the labels. Raises `DataError` where neither is asked for.
    """

    def __init__(self, settings: AugmentSettings, num_classes: int) -> None:
        if not (settings.mixup or settings.cutmix):
            raise DataError("there is nothing to mix: augment.mixup and augment.cutmix are 0. Give one an alpha.")
        self.alphas = {mixup: settings.mixup, cutmix: settings.cutmix}
        self.num_classes = num_classes

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Mix a whole batch: images (B, C, H, W), uint8 or float, and labels int64 (B,).

        Gives images of the same shape, dtype and device (bytes are rounded) and labels float32 (B, `num_classes`),
        whose rows sum to 1. All draws follow from `seed` and the size of the batch; workers that share a batch mix
        the whole of it and take their part. No generator of the user's is used or moved.
        """
        # NumPy's generator, since torch draws from Beta by its global one alone
        draws = np.random.default_rng(key(seed, "mixing"))
        wanted = [method for method, alpha in self.alphas.items() if alpha]
        method = wanted[int(draws.integers(len(wanted)))]
        partners = torch.from_numpy(draws.permutation(len(images)))
        shares = torch.from_numpy(draws.beta(self.alphas[method], self.alphas[method], len(images)))
        mixed, kept = method(images, images[partners.to(images.device)], shares, draws)
        weights = kept.to(torch.float32).to(labels.device)[:, None]
        classes = F.one_hot(labels, self.num_classes).to(torch.float32)
        return mixed, classes * weights + classes[partners.to(labels.device)] * (1 - weights)


def mixup(images: Tensor, others: Tensor, shares: Tensor, draws: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blend each image with its other one: share * image + (1 - share) * other; gives the shares too."""
    weights = shares.to(torch.float32).to(images.device).view(-1, *[1] * (images.ndim - 1))
    blended = torch.lerp(others.to(torch.float32), images.to(torch.float32), weights)
    return (blended.round_() if not images.is_floating_point() else blended).to(images.dtype), shares


def cutmix(images: Tensor, others: Tensor, shares: Tensor, draws: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Put a rectangle of its other one into each image; gives the share of the pixels that each image keeps.

    The rectangle has the image's aspect ratio and 1 - share of its area; its centre lies anywhere, and what hangs over
    the border is lost, so that the image may keep more than its share.
    """
    height, width = images.shape[-2:]
    side = (1 - shares).sqrt()
    rows, tall = _span(height, side, torch.from_numpy(draws.random(len(images))))
    columns, wide = _span(width, side, torch.from_numpy(draws.random(len(images))))
    inside = (rows[:, :, None] & columns[:, None, :])[:, None].to(images.device)
    return torch.where(inside, others, images), 1 - tall * wide / (height * width)


def _span(size: int, fraction: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Give which of `size` pixels lie in a span of `fraction` of them about `place` (0 to 1), (B, size), and how many
    do."""
    length, centre = (size * fraction).floor(), (size * place).floor()
    first = (centre - (length / 2).floor()).clamp(min=0)
    end = (centre - (length / 2).floor() + length).clamp(max=size)
    line = torch.arange(size)
    return (line >= first[:, None]) & (line < end[:, None]), end - first


Method = Callable[[Tensor, Tensor, Tensor, np.random.Generator], tuple[Tensor, Tensor]]
