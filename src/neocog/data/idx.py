"""IDX files, the format of MNIST, described at the end of http://yann.lecun.com/exdb/mnist/."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from neocog.data.source import Part, Source, UInt8, array_source
from neocog.errors import DataError

_UNSIGNED_BYTE = 0x08
_LARGEST_RANK = 4
_PREFIX: dict[Part, tuple[str, ...]] = {"train": ("train",), "test": ("t10k", "test")}
_SUFFIXES = ("-ubyte", "-ubyte.gz")
# far more than any published set needs; it keeps a small damaged .gz from filling the memory
_LARGEST = 8 * 2**30


def parse_idx(content: bytes, name: str) -> UInt8:
    """The array in an IDX file of unsigned bytes: uint8, with the dimensions that its header gives.

    `name` is for the message of the `DataError` that anything else raises. The array is read-only: it shares
    the memory of `content`.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{name} is not an IDX file: it should begin with two zero bytes, a type and a rank.")
    kind, rank = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        raise DataError(f"{name} holds IDX values of type 0x{kind:02x}; images and labels are of type 0x08 (bytes).")
    start = 4 + 4 * rank
    if not 1 <= rank <= _LARGEST_RANK or len(content) < start:
        raise DataError(f"{name} is damaged: its header should give {rank} dimensions.")
    shape = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(rank))
    expected = 1
    for length in shape:
        expected *= length
    if expected == 0 or len(content) - start != expected:
        raise DataError(
            f"{name} is damaged: its header says {' x '.join(map(str, shape))} = {expected} bytes; "
            f"{len(content) - start} are there. Get the file again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_idx(path: Path) -> UInt8:
    """The array in the IDX file at `path`, gzip or not. `DataError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}. Get the file again.") from error
    if len(content) > _LARGEST:
        raise DataError(f"{path} holds more than {_LARGEST // 2**30} GiB, more than fits here.")
    return parse_idx(content, str(path))


def is_idx_folder(folder: Path) -> bool:
    """Whether `folder` holds the training images of a set in MNIST's files."""
    return _find(folder, "train", "images") is not None


def idx_source(folder: Path) -> Source:
    """A data set in MNIST's four files: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-….

    Each may be gzip or not. The test files may both be missing. Classes are "0", "1", … up to the largest
    label. Raises `DataError` where a file is missing or does not fit.
    """
    parts = {}
    for part in _PREFIX:
        images, labels = _find(folder, part, "images"), _find(folder, part, "labels")
        if images is None and labels is None:
            continue
        if images is None or labels is None:
            here, gone = ("labels", "images") if images is None else ("images", "labels")
            raise DataError(
                f"{folder} has the {part} {here}, but not the {part} {gone}: "
                f"put {_PREFIX[part][0]}-{gone}-idx{3 if gone == 'images' else 1}-ubyte (or .gz) beside them."
            )
        parts[part] = (_ranked(images, 3, "images"), _ranked(labels, 1, "labels"))
    sizes = {images.shape[1:] for images, _ in parts.values()}
    if len(sizes) > 1:
        raise DataError(f"{folder}: training and test images differ in size: {sorted(sizes)}.")
    if not len(parts["train"][0]):
        raise DataError(f"{folder}: the training files hold no images.")
    largest = max(int(labels.max(initial=0)) for _, labels in parts.values())
    return array_source(folder.resolve().name, tuple(map(str, range(largest + 1))), parts)


def _ranked(path: Path, rank: int, what: str) -> UInt8:
    array = read_idx(path)
    if array.ndim != rank:
        raise DataError(f"{path} should hold {what} in {rank} dimensions; it has {array.ndim}.")
    return array


def _find(folder: Path, part: Part, what: str) -> Path | None:
    rank = 3 if what == "images" else 1
    for prefix in _PREFIX[part]:
        for suffix in _SUFFIXES:
            for joint in ("-", "."):
                path = folder / f"{prefix}-{what}{joint}idx{rank}{suffix}"
                if path.is_file():
                    return path
    return None
