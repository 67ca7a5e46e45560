"""Flips, and one warp for all that moves, turns, shears or magnifies."""

from __future__ import annotations

import math

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from neocog.augment.draws import Draws, change, to_bytes, to_unit
from neocog.recipe import AugmentSettings


def flip(images: Tensor, settings: AugmentSettings, draws: Draws) -> Tensor:
    """Mirror images (uint8, (B, C, H, W)) left to right and top to bottom, pixel for pixel."""
    leftright = draws.chance("horizontal_flip", settings.horizontal_flip)
    images = change(images, leftright, lambda some, _: some.flip(3))
    updown = draws.chance("vertical_flip", settings.vertical_flip)
    return change(images, updown, lambda some, _: some.flip(2))


def warp(images: Tensor, settings: AugmentSettings, draws: Draws) -> Tensor:
    """Zoom, shear, rotate and shift images (uint8, (B, C, H, W)) in one bilinear warp; what enters is
    black."""
    height, width = images.shape[2:]
    matrices = affine(
        degrees=_degrees(settings, draws),
        shear_x=torch.tan(draws.either_side("shear", settings.shear)),
        zoom=draws.uniform("zoom", *settings.zoom),
        shift_x=draws.either_side("shift_x", settings.shift_x * width) + _crop("crop_x", settings, draws),
        shift_y=draws.either_side("shift_y", settings.shift_y * height) + _crop("crop_y", settings, draws),
        centre=((width - 1) / 2, (height - 1) / 2),
    )
    return warp_bytes(images, matrices)


def affine(
    *,
    degrees: Tensor | float = 0.0,
    shear_x: Tensor | float = 0.0,
    shear_y: Tensor | float = 0.0,
    zoom: Tensor | float = 1.0,
    shift_x: Tensor | float = 0.0,
    shift_y: Tensor | float = 0.0,
    centre: tuple[float, float],
) -> Tensor:
    """Matrices (B, 2, 3), float64, that take an (x, y) of the image to where it goes, in pixels, y downwards.

    Around `centre` (x, y): magnified by `zoom`, sheared (x += shear_x * y, y += shear_y * x), turned by
    `degrees` counter-clockwise as seen on the screen, then shifted right and down. Each value is one number
    or (B,), and one of them at least is a tensor.
    """
    angle = torch.as_tensor(degrees, dtype=torch.float64) * (math.pi / 180)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    xx, xy = zoom * (cosine + sine * shear_y), zoom * (cosine * shear_x + sine)
    yx, yy = zoom * (cosine * shear_y - sine), zoom * (cosine - sine * shear_x)
    x, y = centre
    to_x, to_y = x + shift_x - xx * x - xy * y, y + shift_y - yx * x - yy * y
    entries = torch.broadcast_tensors(xx, xy, to_x, yx, yy, to_y)  # type: ignore[no-untyped-call]
    return torch.stack(entries, dim=-1).view(-1, 2, 3)


def warp_bytes(images: Tensor, matrices: Tensor) -> Tensor:
    """Warp images (uint8, (B, C, H, W)) by `matrices` (B, 2, 3); those of the identity stay bit for bit."""
    identity = torch.eye(2, 3, dtype=matrices.dtype)
    moved = (matrices != identity).flatten(1).any(1)

    def _warp(some: Tensor, places: Tensor) -> Tensor:
        own = matrices[places].to(torch.float32).to(some.device)
        size = (some.shape[2], some.shape[3])
        return to_bytes(warp_affine(to_unit(some), own, size, mode="bilinear", padding_mode="zeros"))

    return change(images, moved, _warp)


def _degrees(settings: AugmentSettings, draws: Draws) -> Tensor:
    degrees = draws.either_side("rotate", settings.rotate)
    if settings.rotate_choices:
        choices = torch.tensor(settings.rotate_choices, dtype=torch.float64)
        degrees = degrees + choices[draws.integer("rotate_choice", len(choices))]
    return degrees


def _crop(name: str, settings: AugmentSettings, draws: Draws) -> Tensor:
    # A crop of the image's own size out of its padded self is a shift by whole pixels.
    return draws.integer(name, 2 * settings.crop + 1) - settings.crop
