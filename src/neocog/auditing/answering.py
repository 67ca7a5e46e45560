"""What a model that never saw an image says of it: out-of-fold probabilities, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neocog.auditing.collecting import Collected
from neocog.data.geometry import Geometry
from neocog.data.source import Int64, Progress, Source, UInt8
from neocog.errors import DataError, WeightsError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

PHOTOGRAPH = 96  # pixels of the longer side, from which the features of photographs say more than small networks
_CHUNK = 256
_LEAST_IMAGES = 5  # of a class, to be judged
_NATIVE, _SMALL = 64, 48  # pixels of a side: kept up to the first, brought to the second otherwise
_SIZE = (224, 224)


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities (M, K) for the M places that could be judged, and the accuracy that comes with them."""

    places: Int64
    probabilities: Float64
    labels: Int64
    accuracy: float
    interval: tuple[float, float]
    told: str


def photograph_features(
    source: Source, seen: Collected, progress: Progress | None = None
) -> tuple[Float32 | None, str]:
    """Features float32 (N, D) by a published network, or None, and in words what is used and why."""
    sides = [max(look.width, look.height) for look in seen.looks]
    if float(np.median(sides)) < PHOTOGRAPH:
        return None, "The images are small, so small networks are trained on them instead of using a pretrained one."
    from neocog.transfer.trunk import load_trunk

    try:
        trunk = load_trunk(image_size=_SIZE)
    except WeightsError as error:
        return None, f"There are no pretrained weights here ({error}) Small networks are trained on the images instead."
    parts = []
    for start in range(0, len(seen.rows), _CHUNK):
        rows = seen.rows[start : start + _CHUNK]
        pixels = _read(source, rows, trunk.geometry)
        parts.append(trunk.features(_tensor(pixels)).numpy())
        if progress is not None:
            progress("computing features", start + len(rows), len(seen.rows))
    return np.concatenate(parts), f"Images are compared by the features of {trunk.name}, trained on ImageNet."


def answers(
    source: Source,
    seen: Collected,
    features: Float32 | None,
    groups: list[str],
    progress: Progress | None = None,
) -> Answers | None:
    """Ask about each image a model that was fitted to other images, in five folds; `groups` stay together.

    With `features` (N, D) the model is a logistic regression on them, else a small network on the pixels. Classes of
    fewer than five images are left out; None where fewer than two classes remain.
    """
    from neocog.transfer.probe import cross_validate, folds, interval

    places, labels, classes = _judged(source.labels[seen.rows], groups)
    if classes < 2:
        return None
    own = [groups[place] for place in places]
    try:
        if features is not None:
            found = cross_validate(features[places], labels, classes, groups=own)
            told = "logistic regression on these features, fitted to four fifths of the images and asked about the rest"
            return Answers(places, found.probabilities, labels, found.accuracy, found.interval, told)
        from neocog.auditing.held_out_network import held_out_probabilities

        pixels = _read(source, seen.rows[places], _small_geometry(seen))
        probabilities = held_out_probabilities(pixels, labels, classes, folds(labels, own), progress)
    except DataError:
        # all images of a class in one group
        return None
    right = int((probabilities.argmax(1) == labels).sum())
    told = "small networks, each trained on four fifths of the images and asked about the rest"
    return Answers(places, probabilities, labels, right / len(labels), interval(right, len(labels)), told)


def trusted(found: Answers) -> bool:
    """Whether the model errs at most half as often as one that always names the largest class."""
    shares = np.bincount(found.labels) / len(found.labels)
    return 1 - found.accuracy <= (1 - float(shares.max())) / 2


def answers_told(found: Answers | None) -> str:
    """Say how labels were doubted, or why they were not."""
    if found is None:
        return (
            "Labels are not checked: that takes two classes of five images each that are neither all alike nor in "
            "one group."
        )
    low, high = (100 * end for end in found.interval)
    told = (
        f"Labels are doubted by {found.told}: {100 * found.accuracy:.1f} % of {len(found.labels):,} images get their "
        f"own label (95 % interval {low:.1f} to {high:.1f} %)."
    )
    if not trusted(found):
        told += " That is too little more than guessing to doubt a label, so none is."
    return told


def _judged(labels: Int64, groups: list[str]) -> tuple[Int64, Int64, int]:
    """Places of the images of classes that are large enough, their labels numbered anew, and how many classes."""
    kinds = [label for label in np.unique(labels)
             if len({groups[place] for place in np.flatnonzero(labels == label)}) >= _LEAST_IMAGES]  # fmt: skip
    places = np.flatnonzero(np.isin(labels, kinds))
    return places, np.searchsorted(np.array(kinds, np.int64), labels[places]).astype(np.int64), len(kinds)


def _small_geometry(seen: Collected) -> Geometry:
    sizes = {(look.height, look.width) for look in seen.looks}
    gray = all(look.mode in ("", "L", "1") for look in seen.looks)
    size = next(iter(sizes)) if len(sizes) == 1 else (_SMALL, _SMALL)
    if max(size) > _NATIVE or min(size) < 4:
        size = (_SMALL, _SMALL)
    return Geometry(size, 1 if gray else 3, "squash")


def _read(source: Source, rows: Int64, geometry: Geometry) -> UInt8:
    pixels = source.pixels.only(rows)
    out = np.empty((len(rows), *geometry.shape), np.uint8)
    _, bad = pixels.read(geometry, out, None)
    if bad:
        raise DataError(
            f"{source.name}: {len(bad)} files could be read a moment ago and cannot now. Is something else writing to "
            "the folder? Wait for it, then audit again."
        )
    return out


def _tensor(pixels: UInt8):  # type: ignore[no-untyped-def]
    import torch

    return torch.from_numpy(pixels)
