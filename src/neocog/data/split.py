"""Dividing a source into training, validation and test images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neocog.data.source import Int64, Source
from neocog.errors import DataError
from neocog.recipe import DataSettings

_NAMES = {"train": "training", "valid": "validation", "test": "test"}
# seeds tried for a grouped split before it is called impossible
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class Division:
    """Which rows of a source go where. `labels` index `classes`, which may be fewer than the source's."""

    classes: tuple[str, ...]
    labels: Int64
    train: Int64
    valid: Int64
    test: Int64 | None
    origin: Literal["split", "folder", "test"]
    notes: tuple[str, ...]


def divide(source: Source, settings: DataSettings, twins: Int64 | None = None) -> Division:
    """Divide `source` as `settings` say: its own validation images if it has some, else a stratified split.

    `twins` (N,) has the same number for images of the same pixels: where there are no groups, a split keeps these
    on one side.

    The split is scikit-learn's `train_test_split` with `split_seed`, so that it can be repeated outside; then
    an image is moved for each class that a part would lack. With groups, no group lies on both sides of a
    split. Raises `DataError` where a class would be missing from a part, or a wished part does not exist.
    """
    parts = {part: np.flatnonzero(source.parts == part) for part in _NAMES}
    if not len(parts["train"]):
        raise DataError(f"{source.name} has no training images. {_have(parts)}")
    own = [part for part in ("valid", "test") if len(parts[part])]
    notes = list(_shared_groups(source, parts))
    _check_parts(source, parts, own)
    by_test = settings.validation == "test"
    splits = not by_test and "valid" not in own
    classes, labels, more = _without_small(source, 2 if splits else 1, settings.strict)
    notes += more
    parts = {part: rows[labels[rows] >= 0] for part, rows in parts.items()}

    origin: Literal["split", "folder", "test"]
    if by_test:
        if "test" not in own:
            raise DataError(
                f'validation = "test" needs test images, and {source.name} has none. '
                "Write a fraction such as validation = 0.1 to set training images aside."
            )
        if "valid" in own:
            notes.append(f'{len(parts["valid"])} validation images are not used: validation = "test".')
        origin, train, valid = "test", parts["train"], parts["test"]
    elif not splits:
        origin, train, valid = "folder", parts["train"], parts["valid"]
    else:
        origin, rows = "split", parts["train"]
        groups = None if source.groups is None else [source.groups[row] for row in rows]
        size = float(settings.validation) if isinstance(settings.validation, float) else int(settings.validation)
        first, second, more = split(
            labels[rows],
            size,
            settings.split_seed,
            classes=classes,
            groups=groups,
            twins=None if twins is None else twins[rows],
        )
        notes += more
        train, valid = rows[first], rows[second]
    test = parts["test"] if "test" in own else None
    return Division(classes, labels, train, valid, test, origin, tuple(notes))


def split(
    labels: Int64,
    size: float | int,
    seed: int,
    *,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    twins: Int64 | None = None,
) -> tuple[Int64, Int64, list[str]]:
    """Row numbers (training, validation) of a stratified split of `labels` (N,), and notes.

    `size` is the validation part: a fraction between 0 and 1, or a number of images. Every class of `labels`
    is in both parts, and with `groups` (one name an image) no group is. Without groups, images with the same
    number in `twins` (N,) go one way, and count once; those of a class that has nothing else are not kept together.
    Raises `DataError` where that is impossible.
    """
    if groups is None and twins is not None:
        together = _separable(labels, twins)
        _, firsts, which = np.unique(together, return_index=True, return_inverse=True)
        if len(firsts) < len(labels):
            train, valid, notes = split(labels[firsts], size, seed, classes=classes)
            return np.flatnonzero(np.isin(which, train)), np.flatnonzero(np.isin(which, valid)), notes
    present = np.unique(labels)
    count = int(np.ceil(size * len(labels))) if isinstance(size, float) else size
    notes = []
    if count < len(present):
        if not isinstance(size, float):
            raise DataError(
                f"validation = {size} images cannot hold an image of each of {len(present)} classes. "
                f"Write a number from {len(present)} to {len(labels) - len(present)}, or a fraction such as 0.1."
            )
        notes.append(
            f"validation = {size:g} of {len(labels)} images is fewer than one of each class; "
            f"{len(present)} are set aside instead."
        )
        count = len(present)
    if len(labels) - count < len(present):
        raise DataError(
            f"validation = {size:g} leaves {max(0, len(labels) - count)} of {len(labels)} images for "
            f"training, fewer than one of each of {len(present)} classes. Add images or write a smaller validation."
        )
    if groups is not None:
        return (*_grouped(labels, count, seed, classes, groups), notes)
    return (*_stratified(labels, size if not notes else count, seed), notes)


def _separable(labels: Int64, twins: Int64) -> Int64:
    """`twins`, where those of a class that would be left with fewer than two images count as different."""
    together = twins.copy()
    while True:
        firsts = np.unique(together, return_index=True)[1]
        counts = np.bincount(labels[firsts], minlength=int(labels.max()) + 1)
        small = np.flatnonzero(np.isin(labels, np.unique(labels)[counts[np.unique(labels)] < 2]))
        alone = len(labels) + int(twins.max()) + small
        if np.array_equal(together[small], alone):
            return together
        together[small] = alone


def _stratified(labels: Int64, size: float | int, seed: int) -> tuple[Int64, Int64]:
    # scikit-learn takes a second to import; a data set with its own parts never needs it
    from sklearn.model_selection import train_test_split

    train, valid = train_test_split(np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed % 2**32)
    train, valid = _lend(labels, train, valid)
    valid, train = _lend(labels, valid, train)
    return train, valid


def _lend(labels: Int64, giver: Int64, taker: Int64) -> tuple[Int64, Int64]:
    """Move the first image of each class that `taker` lacks; `giver`, which had them all, keeps another."""
    lacking = np.setdiff1d(labels[giver], labels[taker])
    moved = np.array([giver[labels[giver] == label][0] for label in lacking], dtype=np.int64)
    return np.setdiff1d(giver, moved) if len(moved) else giver, np.concatenate([taker, moved])


def _grouped(
    labels: Int64, count: int, seed: int, classes: Sequence[str], groups: Sequence[str]
) -> tuple[Int64, Int64]:
    from sklearn.model_selection import StratifiedGroupKFold

    names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    lonely = [classes[label] for label in np.unique(labels) if len(np.unique(numbers[labels == label])) < 2]
    if lonely:
        raise DataError(
            f"every image of {_some(lonely)} belongs to one group, so the class cannot be in training and "
            "validation "
            "both. Add images of another group, give the folder its own val part, or leave out groups."
        )
    # scikit-learn refuses more folds than the largest class has images
    folds = max(2, min(round(len(labels) / count), len(names), int(np.bincount(labels).max())))
    best: tuple[int, Int64, Int64] | None = None
    for attempt in range(_ATTEMPTS):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=(seed + attempt) % 2**32)
        with warnings.catch_warnings():
            # a class with fewer images than folds is looked after below
            warnings.simplefilter("ignore", UserWarning)
            for train, valid in splitter.split(labels, labels, numbers):
                whole = len(np.unique(labels[train])) == len(np.unique(labels[valid])) == len(np.unique(labels))
                if whole and (best is None or abs(len(valid) - count) < best[0]):
                    best = abs(len(valid) - count), train, valid
        if best is not None:
            return best[1], best[2]
        folds = max(2, folds - 1)
    raise DataError(
        f"no split of {len(names)} groups has every class on both sides: too few groups hold images of some "
        "class. "
        "Add images of more groups, give the folder its own val part, or leave out groups."
    )


def _check_parts(source: Source, parts: dict[str, Int64], own: Sequence[str]) -> None:
    trained = set(source.labels[parts["train"]].tolist())
    for part in own:
        there = set(source.labels[parts[part]].tolist())
        for missing, name in ((trained - there, part), (there - trained, "train")):
            if missing:
                classes = _some([source.classes[label] for label in sorted(missing)])
                raise DataError(
                    f"{source.name}: the {_NAMES[name]} images have none of {classes}, which the "
                    f"{_NAMES[part if name == 'train' else 'train']} images have. Every class needs an "
                    "image in each "
                    "part: add some, or take the class out of all parts; mind the spelling of its name."
                )


def _without_small(source: Source, least: int, strict: bool) -> tuple[tuple[str, ...], Int64, list[str]]:
    """Classes and labels without classes of fewer than `least` training images; their labels become -1."""
    counts = np.bincount(source.labels[source.parts == "train"], minlength=len(source.classes))
    small = np.flatnonzero(counts < least)
    kept = np.flatnonzero(counts >= least)
    if strict and len(small):
        names = _some([source.classes[label] for label in small])
        raise DataError(
            f"{source.name}: strict, and {names} has fewer than {least} readable training images. Add some."
        )
    if len(kept) < 2:
        names = ", ".join(f"{name} ({count})" for name, count in zip(source.classes, counts, strict=True)) or "none"
        raise DataError(
            f"{source.name} needs at least two classes of {least} readable training images each; it has: "
            f"{names}. "
            "Put the images of each class into a folder of its own."
        )
    renumber = np.full(len(source.classes), -1)
    renumber[kept] = np.arange(len(kept))
    notes = [
        f"class {source.classes[label]} is left out: it has {counts[label]} training "
        f"image{'' if counts[label] == 1 else 's'}, "
        f"and {least} are needed."
        for label in small
    ]
    return tuple(source.classes[label] for label in kept), renumber[source.labels], notes


def _shared_groups(source: Source, parts: dict[str, Int64]) -> list[str]:
    if source.groups is None:
        return []
    notes = []
    members = {part: {source.groups[row] for row in rows} for part, rows in parts.items()}
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = sorted(members[one] & members[other])
        if shared:
            notes.append(
                f"{len(shared)} of the groups are in the {_NAMES[one]} and the {_NAMES[other]} images both "
                f"({_some(shared)}): the figure on the {_NAMES[other]} images will be too good."
            )
    return notes


def _have(parts: dict[str, Int64]) -> str:
    there = [f"{len(rows)} {_NAMES[part]} images" for part, rows in parts.items() if len(rows)]
    return f"It has {' and '.join(there)}." if there else "It has no images at all."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
