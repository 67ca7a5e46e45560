"""The data sets that are known by name. Nothing here imports torch, unpacks or downloads."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from neocog.errors import DataError

_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Entry:
    """A data set known by name: `images` is (training, test), `size` CxHxW, `where` says how one gets it."""

    name: str
    description: str
    images: tuple[int, int]
    classes: int
    size: str
    where: str
    kind: Literal["packaged", "digits", "cifar"]
    labels: tuple[str, ...] = ()


_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_ENTRIES = (
    Entry("mnist", "handwritten digits", (60_000, 10_000), 10, "1x28x28", "in the package", "packaged", _DIGITS),
    Entry(
        "fashion-mnist",
        "articles of clothing",
        (60_000, 10_000),
        10,
        "1x28x28",
        "in the package",
        "packaged",
        _FASHION,
    ),
    Entry("digits", "small handwritten digits", (1_437, 360), 10, "1x8x8", "in scikit-learn", "digits", _DIGITS),
    Entry(
        "cifar10",
        "small photographs, ten kinds of things",
        (50_000, 10_000),
        10,
        "3x32x32",
        "download, 162 MB",
        "cifar",
    ),
    Entry(
        "cifar100",
        "small photographs, a hundred kinds",
        (50_000, 10_000),
        100,
        "3x32x32",
        "download, 161 MB",
        "cifar",
    ),
)

# Spellings that people try, and sets that cannot be had by name.
_ALIASES = {
    "fashionmnist": "fashion-mnist",
    "fashion": "fashion-mnist",
    "cifar-10": "cifar10",
    "cifar-100": "cifar100",
}
_BY_HAND = {
    "kmnist": "Its project publishes no checksums, so it is not downloaded by name. Put its four files "
    "(train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
    "t10k-labels-idx1-ubyte.gz, from "
    "http://codh.rois.ac.jp/kmnist/) into one folder and give that folder instead.",
}


def available() -> tuple[Entry, ...]:
    """The data sets known by name, in the order in which one meets them."""
    return _ENTRIES


def find(name: str) -> Entry | None:
    """The data set called `name`, in capitals or not, or None."""
    wanted = _spelling(name)
    return next((entry for entry in _ENTRIES if entry.name == wanted), None)


def unknown(source: str) -> DataError:
    """The error for a `source` that is neither a known name nor an existing path, with the nearest name."""
    if _spelling(source) in _BY_HAND:
        return DataError(f"{source} is not known by name. {_BY_HAND[_spelling(source)]}")
    if "/" in source or "\\" in source:
        return DataError(f"there is no folder or file {source}. Mind the spelling, or bring back what lay there.")
    names = [entry.name for entry in _ENTRIES]
    near = difflib.get_close_matches(source.lower(), names, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return DataError(
        f"no data set, folder or CSV file is called {source!r}. {hint}"
        f"Known by name: {', '.join(names)}; otherwise give the path of a folder of images or of a CSV file."
    )


def _spelling(name: str) -> str:
    wanted = name.strip().lower().replace("_", "-")
    return _ALIASES.get(wanted, wanted)
