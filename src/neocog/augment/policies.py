"""AutoAugment, RandAugment and TrivialAugment, drawn for each image.

Sub-policies are the published ones, as kornia lists them; operations are kornia's. Magnitudes are those of
the papers as torchvision reads them (torchvision/transforms/autoaugment.py; for TrivialAugment also the
authors' aug_lib.py): shear, translation, rotation and the four enhancements go to either side, an enhancement
of magnitude m being the factor 1 + m or 1 - m; a translation is cut to whole pixels. Geometric operations are
bilinear and bring in black.

- Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data" (2018)
- Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space" (2019): two
  operations of magnitude 9 (of 30)
- Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation" (2021): one
  operation, the wide ranges
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from kornia.augmentation.auto.autoaugment.autoaugment import cifar10_policy, imagenet_policy, svhn_policy
from kornia.enhance import equalize, invert, normalize_min_max, posterize, solarize
from torch import Tensor

from neocog.augment import appearance
from neocog.augment.draws import Draws, change, to_bytes, to_unit
from neocog.augment.geometry import affine, warp_bytes

_SUBPOLICIES = {
    "autoaugment-imagenet": imagenet_policy,
    "autoaugment-cifar10": cifar10_policy,
    "autoaugment-svhn": svhn_policy,
}
# What RandAugment and TrivialAugment draw from, in the papers' order; AutoAugment also knows "invert".
_DRAWN = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color",
    "contrast", "sharpness", "posterize", "solarize", "auto_contrast", "equalize",
)  # fmt: skip
_OPERATIONS = (*_DRAWN, "invert")
_LEVELS = 31
_RANDAUGMENT_LEVEL = 9


@dataclass(frozen=True)
class Ranges:
    """The largest magnitudes of a policy; the smallest are 0 (8 bits, a threshold of 255)."""

    shear: float
    translate: float  # of the side, or pixels where above 1
    degrees: float
    enhance: float
    lost_bits: int


_NARROW = Ranges(shear=0.3, translate=150 / 331, degrees=30, enhance=0.9, lost_bits=4)
_WIDE = Ranges(shear=0.99, translate=32, degrees=135, enhance=0.99, lost_bits=6)


@dataclass(frozen=True)
class Step:
    """One operation for each image: its place in the list of operations, magnitude in [0, 1], direction; all
    (B,)."""

    operation: Tensor
    strength: Tensor
    sign: Tensor


def apply(images: Tensor, policy: str, draws: Draws) -> Tensor:
    """Apply the named policy to images (uint8, (B, C, H, W)); "none" gives them back."""
    if policy == "none":
        return images
    ranges = _WIDE if policy == "trivialaugment" else _NARROW
    for step in _steps(policy, draws):
        images = _apply_step(images, step, ranges)
    return images


def _steps(policy: str, draws: Draws) -> list[Step]:
    if policy in _SUBPOLICIES:
        return [_autoaugment_step(policy, number, draws) for number in (1, 2)]
    if policy == "randaugment":
        level = torch.full((len(draws),), _RANDAUGMENT_LEVEL)
        return [_free_step(level, number, draws) for number in (1, 2)]
    return [_free_step(draws.integer("policy_1_level", _LEVELS), 1, draws)]


def _free_step(level: Tensor, number: int, draws: Draws) -> Step:
    operation = draws.integer(f"policy_{number}_operation", len(_DRAWN))
    return Step(operation, level / (_LEVELS - 1), _sign(number, draws))


def _autoaugment_step(policy: str, number: int, draws: Draws) -> Step:
    entries = [subpolicy[number - 1] for subpolicy in _SUBPOLICIES[policy]]
    chosen = draws.integer("policy", len(entries))
    operations = torch.tensor([_OPERATIONS.index(name) for name, _, _ in entries])
    probabilities = torch.tensor([probability for _, probability, _ in entries], dtype=torch.float64)
    strengths = torch.tensor([(level or 0) / 9 for _, _, level in entries], dtype=torch.float64)
    happens = draws.chance(f"policy_{number}_gate", probabilities[chosen])
    operation = torch.where(happens, operations[chosen], _OPERATIONS.index("identity"))
    return Step(operation, strengths[chosen], _sign(number, draws))


def _sign(number: int, draws: Draws) -> Tensor:
    return torch.where(draws.chance(f"policy_{number}_sign", 0.5), -1.0, 1.0).to(torch.float64)


def _apply_step(images: Tensor, step: Step, ranges: Ranges) -> Tensor:
    images = warp_bytes(images, _matrices(step, ranges, images.shape[2], images.shape[3]))
    for name, function in _PIXEL_OPERATIONS.items():
        magnitudes = _magnitudes(name, step, ranges)

        def _change(some: Tensor, at: Tensor, f: _Operation = function, m: Tensor = magnitudes) -> Tensor:
            return to_bytes(f(to_unit(some), m[at].to(some.device)))

        images = change(images, _is(step, name), _change)
    return images


def _matrices(step: Step, ranges: Ranges, height: int, width: int) -> Tensor:
    signed = step.strength * step.sign
    pixels = ranges.translate > 1
    turned = affine(degrees=_where(step, "rotate", signed * ranges.degrees), centre=((width - 1) / 2, (height - 1) / 2))
    # As published, a shear leaves the top left corner where it is.
    sheared_or_shifted = affine(
        shear_x=_where(step, "shear_x", signed * ranges.shear),
        shear_y=_where(step, "shear_y", signed * ranges.shear),
        shift_x=_where(step, "translate_x", signed * ranges.translate * (1 if pixels else width)).trunc(),
        shift_y=_where(step, "translate_y", signed * ranges.translate * (1 if pixels else height)).trunc(),
        centre=(0.0, 0.0),
    )
    return torch.where(_is(step, "rotate")[:, None, None], turned, sheared_or_shifted)


def _magnitudes(name: str, step: Step, ranges: Ranges) -> Tensor:
    if name == "posterize":
        return 8 - (step.strength * ranges.lost_bits).round().long()
    if name == "solarize":
        # The threshold is the smallest byte that is inverted; half a step below it, rounding cannot matter.
        smallest = (255 * (1 - step.strength) - 1e-6).ceil()
        return ((smallest - 0.5) / 255).to(torch.float32)
    return (1 + step.strength * step.sign * ranges.enhance).to(torch.float32)


def _is(step: Step, name: str) -> Tensor:
    return step.operation == _OPERATIONS.index(name)


def _where(step: Step, name: str, values: Tensor) -> Tensor:
    return torch.where(_is(step, name), values, 0.0)


_Operation = Callable[[Tensor, Tensor], Tensor]


def _auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    # A channel of one value has nothing to stretch and stays, as in Pillow.
    flat = images.amax((2, 3), keepdim=True) == images.amin((2, 3), keepdim=True)
    return torch.where(flat, images, normalize_min_max(images))


def _sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the distance of images from their smooth selves by `factors`; the border stays, as in Pillow."""
    if min(images.shape[2:]) < 3:
        return images
    # In whole numbers, whose sums are exact in any order: a convolution's last bits otherwise depend on how
    # many images come along, which is why this is not kornia's.
    levels = (images * 255).round()
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=images.device)
    channels = images.shape[1]
    smooth = F.conv2d(levels, kernel.expand(channels, 1, 3, 3), groups=channels) / (13 * 255)
    factor = factors.to(images.dtype).view(-1, 1, 1, 1)
    sharpened = images.clone()
    inner = sharpened[:, :, 1:-1, 1:-1]
    inner.copy_(smooth + (inner - smooth) * factor)
    return sharpened


_PIXEL_OPERATIONS: dict[str, _Operation] = {
    "brightness": appearance.brightness,
    "color": appearance.saturation,
    "contrast": appearance.contrast,
    "sharpness": _sharpness,
    "posterize": lambda images, bits: appearance.typed(posterize(images, bits)),
    "solarize": lambda images, thresholds: appearance.typed(solarize(images, thresholds)),
    "auto_contrast": _auto_contrast,
    "equalize": lambda images, _: appearance.typed(equalize(images)),
    "invert": lambda images, _: appearance.typed(invert(images)),
}
