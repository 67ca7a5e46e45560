"""Colour, blur, noise and blanked rectangles."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from kornia.enhance import adjust_brightness_accumulative, adjust_saturation_with_gray_subtraction
from kornia.filters import get_gaussian_kernel1d
from torch import Tensor

from neocog.augment.draws import Draws, change, per_image, to_bytes, to_unit
from neocog.settings import AugmentSettings, Range

# Below this a neighbour's weight is under 2e-22, and its squared inverse would soon overflow.
_SMALLEST_SIGMA = 0.1
# Area and aspect ratio of the rectangle, from Zhong et al., "Random Erasing Data Augmentation" (2017).
_ERASE_AREA = (0.02, 0.4)
_ERASE_ASPECT = (0.3, 1 / 0.3)


def adjust(images: Tensor, settings: AugmentSettings, draws: Draws) -> Tensor:
    """Brightness, contrast, saturation, grayscale, blur and noise, in this order, on uint8 (B, C, H, W).

    Rounded to bytes once, after the last.
    """
    if not _adjusts(settings):
        return images
    unit = to_unit(images)
    unit = _scale("brightness", brightness, unit, settings.brightness, draws)
    unit = _scale("contrast", contrast, unit, settings.contrast, draws)
    unit = _scale("saturation", saturation, unit, settings.saturation, draws)
    unit = change(unit, draws.chance("grayscale", settings.grayscale), lambda some, _: grayscale(some))
    sigmas = draws.uniform("blur", 0.0, settings.blur)
    unit = change(unit, sigmas >= _SMALLEST_SIGMA, lambda some, at: blur(some, sigmas[at], settings.blur))
    if settings.noise:
        unit = unit + settings.noise * draws.normal(unit.shape[1:], unit.device)
    return to_bytes(unit)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply float images in [0, 1] by their factor (B,); clipped."""
    return typed(adjust_brightness_accumulative(images, factors.to(images.dtype)))


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the distance of float images in [0, 1] from their mean gray by their factor (B,); clipped."""
    # kornia's own contrast takes the mean in float32, whose last bits depend on how many images come along.
    gray = rgb_to_grayscale(images) if images.shape[1] == 3 else images
    mean = gray.mean((1, 2, 3), keepdim=True, dtype=_widest(images.device)).to(images.dtype)
    factor = per_image(factors, images)
    return (images * factor + mean * (1 - factor)).clamp_(0, 1)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the distance of float images in [0, 1] from their gray self by their factor (B,); clipped."""
    return typed(adjust_saturation_with_gray_subtraction(images, factors.to(images.dtype)))


def grayscale(images: Tensor) -> Tensor:
    """Replace each colour by its luma (0.299, 0.587, 0.114); gray images stay."""
    return typed(rgb_to_grayscale(images).expand_as(images)) if images.shape[1] == 3 else images


def blur(images: Tensor, sigmas: Tensor, largest: float) -> Tensor:
    """Gaussian blur with a standard deviation (B,) in pixels each, mirrored at the border.

    `largest` fixes the width of the kernel: three standard deviations to each side, less where the image is
    small.
    """
    # Written as a sum of shifted images, since a convolution's last bits depend on how many images come
    # along.
    for dim in (2, 3):
        radius = min(math.ceil(3 * largest), images.shape[dim] - 1)
        sigma = sigmas.to(torch.float32).to(images.device).view(-1, 1)
        weights = get_gaussian_kernel1d(2 * radius + 1, sigma)
        padding = (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0)
        padded = F.pad(images, padding, mode="reflect") if radius else images
        blurred = torch.zeros_like(images)
        for tap in range(2 * radius + 1):
            blurred += padded.narrow(dim, tap, images.shape[dim]) * weights[:, tap].view(-1, 1, 1, 1)
        images = blurred
    return images


def erase(images: Tensor, settings: AugmentSettings, draws: Draws) -> Tensor:
    """Blank a random rectangle of images (uint8, (B, C, H, W)): 2 to 40 % of the area, aspect ratio 0.3 to
    3.3.

    A rectangle longer than the image is cut to it. Source: Zhong et al., "Random Erasing Data Augmentation"
    (2017).
    """
    height, width = images.shape[2:]
    area = draws.uniform("erase_area", *_ERASE_AREA) * height * width
    aspect = draws.uniform("erase_aspect", *map(math.log, _ERASE_ASPECT)).exp()
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (draws.uniform("erase_y") * (height - tall + 1)).floor()
    left = (draws.uniform("erase_x") * (width - wide + 1)).floor()

    def _blank(some: Tensor, at: Tensor) -> Tensor:
        rows = _between(height, top[at], tall[at], some.device)
        columns = _between(width, left[at], wide[at], some.device)
        return some.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)

    return change(images, draws.chance("erase", settings.erase), _blank)


def _scale(
    name: str, function: Callable[[Tensor, Tensor], Tensor], images: Tensor, span: Range, draws: Draws
) -> Tensor:
    factors = draws.uniform(name, *span)
    return change(images, factors != 1, lambda some, at: function(some, factors[at]))


def _between(size: int, first: Tensor, count: Tensor, device: torch.device) -> Tensor:
    line = torch.arange(size)
    inside = (line >= first[:, None]) & (line < (first + count)[:, None])
    return inside.to(device)


def _adjusts(settings: AugmentSettings) -> bool:
    factors = (settings.brightness, settings.contrast, settings.saturation)
    return any(pair != (1.0, 1.0) for pair in factors) or bool(settings.grayscale or settings.blur or settings.noise)


def _widest(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def typed(value: Tensor) -> Tensor:
    """Give kornia's results, which it publishes without types, their type."""
    return value
