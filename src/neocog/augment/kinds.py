"""The kinds of augmentation by name, each with settings that show what it does."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tomli_w

from neocog.errors import RecipeError
from neocog.settings import AugmentSettings


@dataclass(frozen=True)
class Kind:
    """A kind of augmentation: its name, what it does in a few words, and its settings for an image's longer side."""

    name: str
    title: str
    values: Callable[[int], dict[str, Any]]
    needs_colour: bool = False

    def settings(self, side: int) -> AugmentSettings:
        """Give the settings for images whose longer side has `side` pixels."""
        return AugmentSettings(**self.values(side))


def _fixed(name: str, title: str, *, needs_colour: bool = False, **values: Any) -> Kind:
    return Kind(name, title, lambda side: dict(values), needs_colour)


def _together(side: int) -> dict[str, Any]:
    return {
        "horizontal_flip": 0.5, "vertical_flip": 0.5, "rotate": 360.0, "shift_x": 0.1, "shift_y": 0.1, "shear": 0.5,
        "zoom": (0.7, 1.3), "brightness": (0.4, 1.6), "grayscale": 0.2, "noise": 0.05, **_blur(side), **_crop(side),
    }  # fmt: skip


def _blur(side: int) -> dict[str, Any]:
    # strong enough to be seen, whatever the size
    return {"blur": max(1.0, round(side / 100, 1))}


def _crop(side: int) -> dict[str, Any]:
    # an eighth, as 4 pixels of CIFAR-10's 32
    return {"crop": max(1, side // 8)}


# Rotation, shifts, shear and zoom as in the course; probabilities of 1/2 show images with and without.
KINDS = (
    _fixed("horizontal-flip", "mirrored left to right", horizontal_flip=0.5),
    _fixed("vertical-flip", "mirrored top to bottom", vertical_flip=0.5),
    _fixed("rotate", "turned by any angle", rotate=360.0),
    _fixed("rotate45", "turned by exactly +45 or -45 degrees", rotate_choices=[45.0, -45.0]),
    _fixed("horizontal-shift", "moved left or right by up to 10 %", shift_x=0.1),
    _fixed("vertical-shift", "moved up or down by up to 10 %", shift_y=0.1),
    _fixed("shear", "slanted by up to 0.5 rad", shear=0.5),
    _fixed("zoom", "made smaller or larger", zoom=(0.7, 1.3)),
    Kind("blur", "blurred", _blur),
    _fixed("brighter", "made brighter", brightness=(1.0, 1.8)),
    _fixed("darker", "made darker", brightness=(0.3, 1.0)),
    _fixed("noise", "with Gaussian noise", noise=0.1),
    _fixed("grayscale", "turned to gray", needs_colour=True, grayscale=0.5),
    Kind("crop", "a black frame, then a crop of the old size", _crop),
    _fixed("erase", "random erasing", erase=1.0),
    _fixed("autoaugment-imagenet", "AutoAugment, policy for ImageNet", policy="autoaugment-imagenet"),
    _fixed("autoaugment-cifar10", "AutoAugment, policy for CIFAR-10", policy="autoaugment-cifar10"),
    _fixed("autoaugment-svhn", "AutoAugment, policy for SVHN", policy="autoaugment-svhn"),
    _fixed("randaugment", "RandAugment", policy="randaugment"),
    _fixed("trivialaugment", "TrivialAugment", policy="trivialaugment"),
    _fixed("mixup", "MixUp of several images", mixup=1.0),
    _fixed("cutmix", "CutMix of several images", cutmix=1.0),
    Kind("all", "all of geometry and colour together", _together),
)


def find_kind(name: str) -> Kind:
    """Give the kind called `name`; raises `RecipeError` with the nearest name and all of them."""
    for kind in KINDS:
        if kind.name == name.strip().lower().replace("_", "-"):
            return kind
    names = [kind.name for kind in KINDS]
    near = difflib.get_close_matches(name.lower(), names, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise RecipeError(f"there is no kind of augmentation called {name!r}.{hint} Known: {', '.join(names)}.")


def settings_text(settings: AugmentSettings) -> str:
    """Give what the settings change, as in a recipe: `rotate = 10.0, zoom = [0.9, 1.1]`; empty for nothing."""
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.model_dump(exclude_defaults=True).items()
    }
    written = [" ".join(tomli_w.dumps({name: value}).split()) for name, value in values.items()]
    return ", ".join(text.replace("[ ", "[").replace(", ]", "]") for text in written)
