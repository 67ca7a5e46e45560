"""Near duplicates: candidates by fingerprints and features, confirmed so that look-alikes are not taken for copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neocog.auditing.fingerprints import mirrored, symmetries
from neocog.auditing.nearest import Nearest, nearest_other
from neocog.auditing.registration import FINE, overlap
from neocog.data.source import Progress, UInt8

Float32 = npt.NDArray[np.float32]

# Of the distance at which images lie that have nothing to do with each other. Nearest neighbours among the 70,000
# digits of MNIST lie at 0.31 and more; copies of photographs, saved again or made brighter, below 0.2.
_COPY = 0.25
_COPY_BY_FEATURES = 0.45
_CANDIDATE = 0.85
# Where images differ this much by themselves, a picture that fits on another is a part of it.
_VARIED = 0.7
_FITS = 0.9
_ALIKE = 0.1
_SAME = 1e-3
_MOST_TURNED = 20_000  # images; in larger sets copies are looked for mirrored, but not turned

Picture = Callable[[int], UInt8]


@dataclass(frozen=True)
class Pair:
    """Two images, by their places, that are nearly the same; `told` says how one sees it, `score` how sure it is."""

    one: int
    other: int
    told: str
    score: float
    distance: float = 0.0


def near_pairs(
    prints: Float32,
    by_prints: Nearest,
    by_features: Nearest | None,
    picture: Picture,
    progress: Progress | None = None,
) -> list[Pair]:
    """Pairs of nearly the same image among N images of different pixels.

    `prints` are fingerprints (N, D); `by_prints` and `by_features` the nearest neighbours; `picture(place)` gives a
    gray picture (1, H, W) of at most `FINE` pixels. A pair is taken for copies where its distance is a small part of
    the usual one, in fingerprints (also of the mirrored and turned image) or features; or, in a set of photographs,
    where one of the pictures fits on the other, cropped and resized.
    """
    if len(prints) < 2:
        return []
    varied = len(prints) > 2 and float(np.median(by_prints.scale)) > _VARIED
    found = dict[tuple[int, int], Pair]()
    for pair in _by_prints(prints, by_prints):
        # where all images look alike, a copy has to be as good as equal
        if varied or pair.distance < _ALIKE:
            found.setdefault((pair.one, pair.other), pair)
    if not varied:
        return list(found.values())
    candidates = _candidates(by_prints, _CANDIDATE, first=1)
    if by_features is not None:
        for one, other, ratio, _ in _candidates(by_features, _COPY_BY_FEATURES, first=2):
            pair = Pair(one, other, f"features {100 * (1 - ratio):.0f} % nearer than usual", 1 - ratio)
            found.setdefault((one, other), pair)
        candidates += _candidates(by_features, _CANDIDATE, first=2)
    waiting = sorted({(one, other) for one, other, *_ in candidates} - set(found))
    for number, (one, other) in enumerate(waiting, start=1):
        fit = overlap(picture(one), picture(other))
        if fit >= _FITS:
            found[one, other] = Pair(one, other, f"one fits on the other (correlation {fit:.2f})", fit)
        if progress is not None and (number % 50 == 0 or number == len(waiting)):
            progress("confirming near duplicates", number, len(waiting))
    return list(found.values())


def _by_prints(prints: Float32, known: Nearest) -> list[Pair]:
    pairs = [
        Pair(one, other, f"thumbnails correlate by {1 - distance**2 / 2:.3f}", 1 - ratio, distance)
        for one, other, ratio, distance in _candidates(known, _COPY, first=known.rows.shape[1])
    ]
    changes = symmetries(prints) if len(prints) <= _MOST_TURNED else iter([mirrored(prints)])
    for number, changed in enumerate(changes):
        rows, distances = nearest_other(prints, changed)
        scale = np.minimum(known.scale, known.scale[rows])
        for one in np.flatnonzero(distances < _COPY * scale):
            ends = sorted((int(one), int(rows[one])))
            what = "mirrored" if number == 0 else "turned or mirrored"
            distance = float(distances[one])
            pairs.append(Pair(ends[0], ends[1], what, 1 - distance / float(scale[one]), distance))
    return pairs


def _candidates(known: Nearest, most: float, first: int) -> list[tuple[int, int, float, float]]:
    """(one, other, ratio, distance) with one < other, where the distance is below `most` of the usual one."""
    rows, distances = known.rows[:, :first], known.distances[:, :first]
    scale = np.minimum(known.scale[:, None], known.scale[rows])
    ratio = distances / np.maximum(scale, 1e-6)
    # so many copies of one picture that even the far neighbours are copies
    ratio[distances < _SAME] = 0
    best = dict[tuple[int, int], tuple[float, float]]()
    for one, place in zip(*np.nonzero(ratio < most), strict=True):
        ends = sorted((int(one), int(rows[one, place])))
        key, value = (ends[0], ends[1]), (float(ratio[one, place]), float(distances[one, place]))
        best[key] = min(value, best.get(key, value))
    return [(one, other, *values) for (one, other), values in sorted(best.items())]


__all__ = ["FINE", "Pair", "near_pairs"]
