"""Images whose decoded pixels are the same, and what that means for the parts of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from neocog.data.source import Int64, UInt8

# Of each image so many bytes are looked at; only images that share them are read whole.
_GLANCE = 4096
_NAMES = {"train": "training", "valid": "validation", "test": "test"}
_SHOWN = 3


def twins(images: UInt8) -> list[list[int]]:
    """The rows of `images` uint8 (N, C, H, W) that show the same pixels: ascending groups of two and more.

    Takes one pass over a piece of each image, and a second one over the whole of those that share it; the memory
    is eight bytes an image.
    """
    flat = images.reshape(len(images), int(np.prod(images.shape[1:])))
    start = max(0, (flat.shape[1] - _GLANCE) // 2)
    glances = _digests(flat, range(len(flat)), slice(start, start + _GLANCE))
    values, counts = np.unique(glances, return_counts=True)
    alike = np.flatnonzero(np.isin(glances, values[counts > 1]))
    groups: dict[bytes, list[int]] = {}
    for row in alike.tolist():
        groups.setdefault(hashlib.blake2b(flat[row].tobytes(), digest_size=16).digest(), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def group_numbers(count: int, groups: Iterable[Sequence[int]]) -> Int64:
    """A number for each of `count` images, the same one for those of a group: int64 (count,)."""
    numbers = np.arange(count)
    for group in groups:
        numbers[list(group)] = group[0]
    return numbers


def together(images: UInt8, names: Sequence[str] | None = None, same: list[list[int]] | None = None) -> Int64 | None:
    """A number for each of `images` (N, C, H, W), the same one for those that show the same pixels or have the same
    name, over any number of steps: int64 (N,); None where there is neither. `same` are the `twins`, where known.
    """
    same = twins(images) if same is None else same
    if names is None:
        return group_numbers(len(images), same) if same else None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = group_numbers(len(images), same)
    known, named = np.unique(np.asarray(names), return_inverse=True)
    size = len(images) + len(known)
    links = coo_array((np.ones(len(images), np.int8), (numbers, len(images) + named)), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1][numbers], np.int64)


def notes_on(
    groups: Iterable[Sequence[int]],
    parts: Mapping[str, Int64],
    labels: Int64,
    classes: Sequence[str],
    names: Sequence[str] | None,
    advice: str,
) -> list[str]:
    """Notes on twins that are in two parts, or in the training part under two labels.

    `parts` are row numbers of "train", "valid" and "test", where these are; `labels` (N,) index `classes`; `names`,
    where known, are the files; `advice` is a sentence that says how to see them all.
    """
    order = list(parts)
    part_of = np.full(len(labels), -1, np.int8)
    for number, part in enumerate(order):
        part_of[parts[part]] = number
    shared: dict[tuple[str, str], list[tuple[int, int]]] = {}
    conflicts: list[tuple[int, int]] = []
    for group in groups:
        inside = {part: [row for row in group if part_of[row] == number] for number, part in enumerate(order)}
        for one, other in combinations(order, 2):
            if inside[one] and inside[other]:
                shared.setdefault((one, other), []).extend((inside[one][0], row) for row in inside[other])
        trained = inside["train"]
        different = [row for row in trained if labels[row] != labels[trained[0]]]
        conflicts += [(trained[0], row) for row in different[:1]]

    def name(row: int) -> str:
        return f"image {row}" if names is None else names[row]

    notes = [
        f"{_count(len(pairs))} of the {_NAMES[other]} images {'is' if len(pairs) == 1 else 'are'} among the "
        f"{_NAMES[one]} images too, pixel for pixel ({_some(f'{name(b)} is {name(a)}' for a, b in pairs)}): "
        f"the figure on the {_NAMES[other]} images will be too good. {advice}"
        for (one, other), pairs in shared.items()
    ]
    if conflicts:
        told = (f"{name(a)} is {classes[labels[a]]}, {name(b)} is {classes[labels[b]]}" for a, b in conflicts)
        many = "picture is" if len(conflicts) == 1 else "pictures are"
        notes.append(f"{_count(len(conflicts))} {many} trained on under two labels ({_some(told)}). {advice}")
    return notes


def _digests(flat: UInt8, rows: Iterable[int], piece: slice) -> Int64:
    digests = b"".join(hashlib.blake2b(flat[row, piece].tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, np.int64)


def _count(number: int) -> str:
    return f"{number:,}"


def _some(texts: Iterable[str]) -> str:
    told = list(texts)
    return "; ".join(told[:_SHOWN]) + (f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")
