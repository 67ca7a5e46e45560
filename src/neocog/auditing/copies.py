"""Copies among all images: exact groups, near pairs, and the nearest neighbours that were found on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neocog.auditing.collecting import Collected
from neocog.auditing.duplicates import exact_groups, joined
from neocog.auditing.fingerprints import fingerprints
from neocog.auditing.near import Pair, near_pairs
from neocog.auditing.nearest import Nearest, nearest, unit
from neocog.auditing.pictures import Pictures
from neocog.auditing.registration import FINE
from neocog.data.source import Int64, Progress, Source

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Copies:
    """Places (0 to N - 1) of the readable images: `exact` groups, near `pairs` of their first ones, and for each image
    the nearest others by features, or by fingerprints where there are none."""

    exact: tuple[tuple[int, ...], ...]
    pairs: tuple[Pair, ...]
    similar: Nearest

    def groups(self, source: Source, rows: Int64) -> list[str]:
        """A name for each image, the same for copies, and for what the groups of `source` (at `rows`) join."""
        ends = [(group[0], place) for group in self.exact for place in group[1:]]
        ends += [(pair.one, pair.other) for pair in self.pairs]
        if source.groups is not None:
            first = dict[str, int]()
            for place, row in enumerate(rows.tolist()):
                ends.append((first.setdefault(source.groups[row], place), place))
        return list(map(str, joined(len(rows), ends)))


def find_copies(
    seen: Collected, features: Float32 | None, pictures: Pictures, progress: Progress | None = None
) -> Copies:
    """Find the copies among the images seen; `features` (N, D) help where there are some."""
    exact = exact_groups([look.digest for look in seen.looks])
    count = len(seen.looks)
    later = [place for group in exact for place in group[1:]]
    # of exact copies the first one stands for all
    firsts = np.setdiff1d(np.arange(count), np.array(later, np.int64))
    prints = fingerprints(seen.thumbnails[firsts])
    by_prints = nearest(prints, progress)
    by_features = None if features is None else nearest(unit(features[firsts]), progress)

    def picture(place: int) -> npt.NDArray[np.uint8]:
        return pictures.at(int(seen.rows[firsts[place]]), FINE, 1)

    pairs = near_pairs(prints, by_prints, by_features, picture, progress)
    placed = tuple(replace(pair, one=int(firsts[pair.one]), other=int(firsts[pair.other])) for pair in pairs)
    stands_for = np.arange(count)
    for group in exact:
        stands_for[list(group)] = group[0]
    index = np.searchsorted(firsts, stands_for)
    return Copies(tuple(exact), placed, _spread(by_features or by_prints, firsts, index))


def _spread(found: Nearest, firsts: Int64, index: Int64) -> Nearest:
    """Neighbours of the first ones, as neighbours of all."""
    return Nearest(firsts[found.rows[index]], found.distances[index], found.scale[index])
