"""Random numbers keyed by a seed and an image's place in the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

# One row of draws each. Append only: a row's place decides its numbers, so an insertion would change every
# augmented image of every recipe.
_ROWS = (
    "horizontal_flip", "vertical_flip", "rotate", "rotate_choice", "shift_x", "shift_y", "shear", "zoom",
    "crop_x", "crop_y", "brightness", "contrast", "saturation", "grayscale", "blur",
    "erase", "erase_area", "erase_aspect", "erase_x", "erase_y",
    "policy", "policy_1_gate", "policy_1_operation", "policy_1_level", "policy_1_sign",
    "policy_2_gate", "policy_2_operation", "policy_2_level", "policy_2_sign",
)  # fmt: skip


class Draws:
    """The draws of one batch, as the `count` images from `start` on see them.

    Every tensor is float64, bool or int64 of shape (B,) on the CPU, so that the images of any device are
    changed alike and choosing among them never waits for an accelerator.
    """

    def __init__(self, seed: int, batch_size: int, start: int, count: int) -> None:
        self._seed = seed
        self._batch_size = batch_size
        self._start = start
        self._count = count
        generator = torch.Generator().manual_seed(_stream("images", seed))
        uniforms = torch.rand((len(_ROWS), batch_size), generator=generator, dtype=torch.float64)
        self._rows: dict[str, Tensor] = dict(zip(_ROWS, uniforms.narrow(1, start, count), strict=True))

    def __len__(self) -> int:
        return self._count

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Numbers in [low, high)."""
        return self._rows[name] * (high - low) + low

    def either_side(self, name: str, most: float) -> Tensor:
        """Numbers in [-most, most)."""
        return self.uniform(name, -most, most)

    def chance(self, name: str, probability: float | Tensor) -> Tensor:
        """Whether an event of this probability happens; 0 never does and 1 always."""
        return self._rows[name].lt(probability)

    def integer(self, name: str, count: int) -> Tensor:
        """Whole numbers from 0 to count - 1, all alike."""
        # Rounding could carry a number just below 1 up to `count` itself.
        return (self._rows[name] * count).long().clamp(max=count - 1)

    def normal(self, image_shape: torch.Size, device: torch.device) -> Tensor:
        """Standard normal numbers (B, *image_shape), float32, drawn on `device`.

        Other than the rest they may differ from one kind of device to another: a number per pixel is too many
        to send across.
        """
        generator = torch.Generator(device).manual_seed(_stream("pixels", self._seed))
        whole: Tensor = torch.randn((self._batch_size, *image_shape), generator=generator, device=device)
        return whole.narrow(0, self._start, self._count)


def change(images: Tensor, chosen: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Replace the `chosen` (bool, (B,), CPU) images by `function(those images, their places)`.

    `images` stay as they are; the rest of the result equals them bit for bit.
    """
    places = chosen.nonzero().squeeze(1)
    if len(places) == 0:
        return images
    if len(places) == len(images):
        return function(images, places)
    index = places.to(images.device)
    return images.index_copy(0, index, function(images[index], places))


def per_image(values: Tensor, images: Tensor) -> Tensor:
    """Values (B,) as (B, 1, 1, 1) of the dtype and device of `images`, ready to be multiplied with them."""
    return values.to(dtype=images.dtype).to(images.device).view(-1, 1, 1, 1)


def to_unit(images: Tensor) -> Tensor:
    """Bytes (uint8) as float32 in [0, 1]."""
    return images.to(torch.float32) / 255


def to_bytes(images: Tensor) -> Tensor:
    """Float images in [0, 1] (values outside are clipped) as the nearest uint8; undoes `to_unit` exactly."""
    return (images * 255).round_().clamp_(0, 255).to(torch.uint8)


def _stream(purpose: str, seed: int) -> int:
    # PyTorch's CPU generator keeps the lower 32 bits of a seed alone; the digest lets all of them count, and
    # keeps two purposes that share a seed apart.
    digest = hashlib.blake2b(f"neocog augmentation {purpose} {seed}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")
