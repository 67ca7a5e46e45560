"""What to do with a set of images: its size and its likeness to ImageNet, measured, and the recipe that follows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from neocog.data.geometry import Geometry
from neocog.data.loading import choose_geometry, find_source
from neocog.data.source import Int64, Progress, Source, UInt8
from neocog.data.twins import together, twins
from neocog.errors import DataError, WeightsError
from neocog.features import features
from neocog.recipe import DataSettings
from neocog.transfer.folds import stratified_part
from neocog.transfer.head import Float64
from neocog.transfer.learning_curve import CurvePoint, Forecast, extrapolate, learning_curve
from neocog.transfer.levels import Levels
from neocog.transfer.probe import CrossValidation, Neighbours, cross_validate, nearest_neighbours
from neocog.transfer.trunk import DEFAULT, load_trunk, transfer_size

# images a class from which a network learns more from them than it brings along; a convention, as is that of `similar`
LARGE = 1_000
_IMAGES_A_MINUTE = 1_500
# images up to this size are enlarged to no more than _SMALL_SIDE
_SMALL, _SMALL_SIDE = 64, 96
_PIXEL_SIDE = 16
# a level is as good as the last one where it makes at most so many times its mistakes
_AS_GOOD = 1.15

Case = Literal["small and similar", "small and different", "large and similar", "large and different"]


@dataclass(frozen=True, eq=False)
class Level:
    """A linear probe on the features after one piece of the network."""

    layer: str
    probe: CrossValidation


@dataclass(frozen=True, eq=False)
class Measured:
    """What the features of a trained network say of the images: `levels` from early to last, as measured on a part.

    `seconds_an_image` is the time of one pass through the network.
    """

    network: str
    image_size: tuple[int, int]
    levels: tuple[Level, ...]
    neighbours: Neighbours
    curve: tuple[CurvePoint, ...]
    forecast: Forecast | None
    seconds_an_image: float

    @property
    def last(self) -> CrossValidation:
        """The probe on the last features."""
        return self.levels[-1].probe


@dataclass(frozen=True, eq=False)
class Advice:
    """What was found out about the training images of `source`, and what it speaks for.

    `counts` are all training images of each class, `looked_at` says how many were measured (`labels` are theirs),
    `chance` is the accuracy of always naming the largest class among them. `measured` is None, and `missing` says why,
    where there are no trained weights.
    """

    source: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    labels: Int64
    pixels: CrossValidation
    native_side: int | None
    measured: Measured | None = None
    missing: str = ""
    notes: tuple[str, ...] = ()
    minutes: float | None = None
    same: int = field(default=0)

    @property
    def images(self) -> int:
        """Number of training images."""
        return sum(self.counts)

    @property
    def looked_at(self) -> int:
        """Number of images that were measured."""
        return len(self.labels)

    @property
    def chance(self) -> float:
        """The accuracy of always naming the largest class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def large(self) -> bool:
        """Whether the middle class has `LARGE` images or more."""
        return float(np.median(self.counts)) >= LARGE

    @property
    def similar(self) -> bool | None:
        """Whether the last features, made for ImageNet's classes, serve clearly better than earlier ones.

        None where nothing was measured.
        """
        return None if self.measured is None else self.best_level == len(self.measured.levels) - 1

    @property
    def best_level(self) -> int:
        """The earliest level that makes about as few mistakes as the best one."""
        if self.measured is None:
            return 0
        wrong = [1 - level.probe.accuracy for level in self.measured.levels]
        # below half a mistake nothing can be told apart: the last level is what the network was made for
        least = 0.5 / self.looked_at
        limit = max(min(wrong) * _AS_GOOD, least)
        if wrong[-1] <= limit:
            good = [place for place, value in enumerate(wrong[:-1]) if value <= min(wrong[-1], limit)]
            return good[0] if good and wrong[-1] > least else len(wrong) - 1
        return next(place for place, value in enumerate(wrong) if value <= limit)

    @property
    def case(self) -> Case | None:
        """Which of the four cases it is."""
        if self.similar is None:
            return None
        size: Literal["large", "small"] = "large" if self.large else "small"
        if self.similar:
            return f"{size} and similar"  # type: ignore[return-value]
        return f"{size} and different"  # type: ignore[return-value]

    @property
    def confusion(self) -> Float64:
        """Share of each true class (row) that was answered with each class (column), out of fold: (K, K)."""
        probe = self.pixels if self.measured is None else self.measured.last
        size = len(self.classes)
        counts = np.bincount(self.labels * size + probe.predictions, minlength=size * size).reshape(size, size)
        return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def advise(
    source: str,
    *,
    minutes: float | None = None,
    groups: str | None = None,
    skip_list: str | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Advice:
    """Measure the training images of a data set, folder or CSV file by linear probes; its other parts are not read.

    Of large sets a stratified part is looked at: 1,500 images, or so many for each of the `minutes` that a training may
    take. Images of the same group or with the same pixels stay in one fold. Raises `DataError`
    where there are no two classes of two images.
    """
    found = find_source(source, groups=groups, skip_list=skip_list, progress=progress)
    train = found.only(np.flatnonzero(found.parts == "train"))
    train, notes = _without_lonely(train)
    counts = np.bincount(train.labels, minlength=len(train.classes))
    part = train.only(stratified_part(train.labels, round(_IMAGES_A_MINUTE * max(1.0, minutes or 1.0)), seed))
    native = part.pixels.native(progress)
    side = None if native.image_size is None else max(native.image_size)
    small = side is not None and side <= _SMALL
    size = (_SMALL_SIDE, _SMALL_SIDE) if small else transfer_size(DEFAULT)
    geometry = choose_geometry(part, DataSettings(image_size=size, channels=3))
    part, images, more = _decoded(part, geometry, progress)
    same = twins(images)
    units = together(images, part.groups, same)
    pixels = cross_validate(_small_pixels(images), part.labels, len(part.classes), groups=units, seed=seed)
    measured, missing = None, ""
    try:
        measured = _measured(torch.from_numpy(images), part, geometry, units, seed, progress)
    except WeightsError as error:
        missing = str(error)
    return Advice(
        found.name,
        train.classes,
        tuple(counts.tolist()),
        part.labels,
        pixels,
        side,
        measured,
        missing,
        (*notes, *more),
        minutes,
        sum(len(group) - 1 for group in same),
    )


def _measured(
    images: torch.Tensor,
    part: Source,
    geometry: Geometry,
    groups: Int64 | None,
    seed: int,
    progress: Progress | None,
) -> Measured:
    trunk = load_trunk(image_size=geometry.image_size, resize=geometry.resize, progress=progress)
    front = Levels(trunk)
    begun = time.perf_counter()
    features(front, images[:8], trunk.hardware, cached=False)
    seconds = (time.perf_counter() - begun) / len(images[:8])
    rows = features(front, images, trunk.hardware, progress=progress).numpy()
    parts = np.split(rows, np.cumsum(front.widths)[:-1], axis=1)
    labels, size = part.labels, len(part.classes)
    levels = tuple(
        Level(name, cross_validate(found, labels, size, groups=groups, seed=seed))
        for name, found in zip(front.names, parts, strict=True)
    )
    neighbours = nearest_neighbours(parts[-1], labels, groups=groups, seed=seed)
    curve = learning_curve(parts[-1], labels, groups=groups, seed=seed)
    return Measured(trunk.name, geometry.image_size, levels, neighbours, curve, extrapolate(curve), seconds)


def _without_lonely(source: Source) -> tuple[Source, list[str]]:
    """Leave out the classes of which there is nothing to hold out."""
    counts = np.bincount(source.labels, minlength=len(source.classes))
    kept = np.flatnonzero(counts >= 2)
    if len(kept) < 2:
        raise DataError(
            f"{source.name}: advice needs two classes of two training images each, and there "
            f"{'is one' if len(kept) == 1 else 'are none'}. Put the images of each class into a folder of its own."
        )
    notes = [
        f"class {source.classes[label]} is left out: {counts[label]} training images, and two are needed."
        for label in np.flatnonzero(counts < 2)
    ]
    return _only_classes(source, kept), notes


def _only_classes(source: Source, kept: Int64) -> Source:
    if len(kept) == len(source.classes):
        return source
    new = np.full(len(source.classes), -1)
    new[kept] = np.arange(len(kept))
    found = source.only(np.flatnonzero(np.isin(source.labels, kept)))
    return replace(found, classes=tuple(source.classes[label] for label in kept), labels=new[found.labels])


def _decoded(part: Source, geometry: Geometry, progress: Progress | None) -> tuple[Source, UInt8, list[str]]:
    images = np.empty((len(part), *geometry.shape), np.uint8)
    kept, bad = part.pixels.read(geometry, images, progress)
    readable, images = part.readable(kept, bad), images[: len(kept)]
    notes = [f"{len(bad):,} of the files cannot be read and are left out: neocog audit says why."] if bad else []
    counts = np.bincount(readable.labels, minlength=len(readable.classes))
    rows = np.flatnonzero(counts[readable.labels] >= 2)
    readable, more = _without_lonely(readable)
    return readable, images[rows], [*notes, *more]


def _small_pixels(images: UInt8) -> np.ndarray[Any, np.dtype[np.float32]]:
    shrunk = [
        torch.nn.functional.adaptive_avg_pool2d(
            torch.from_numpy(images[start : start + 256]).float() / 255, _PIXEL_SIDE
        ).flatten(1)
        for start in range(0, len(images), 256)
    ]
    return torch.cat(shrunk).numpy()
