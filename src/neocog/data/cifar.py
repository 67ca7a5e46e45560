"""CIFAR-10 and CIFAR-100 in their binary version, read from the archive without unpacking it to disk.

Addresses, checksums and the layout of the records are those of https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neocog.data.download import RemoteFile, fetch
from neocog.data.names import normal
from neocog.data.source import Progress, Source, UInt8, array_source
from neocog.errors import DataError

_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_IMAGE = (3, 32, 32)
# no member of either archive is larger than 154 MB
_LARGEST_MEMBER = 200 * 10**6


@dataclass(frozen=True)
class Layout:
    """Where things are in an archive: members by name, and which of the label bytes of a record counts."""

    archive: RemoteFile
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int


LAYOUTS = {
    "cifar10": Layout(
        RemoteFile(
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            _PAGE,
            162,
        ),
        train=tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
        test=("cifar-10-batches-bin/test_batch.bin",),
        names="cifar-10-batches-bin/batches.meta.txt",
        label_bytes=1,
    ),
    "cifar100": Layout(
        RemoteFile(
            "cifar-100-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            _PAGE,
            161,
        ),
        train=("cifar-100-binary/train.bin",),
        test=("cifar-100-binary/test.bin",),
        names="cifar-100-binary/fine_label_names.txt",
        label_bytes=2,
    ),
}


def cifar_source(name: str, progress: Progress | None = None) -> Source:
    """CIFAR-10 or CIFAR-100 (fine labels), downloaded on first use.

    50,000 training and 10,000 test images, 3x32x32. Raises `DataError` where the archive cannot be had.
    """
    layout = LAYOUTS[name]
    return read_archive(name, layout, fetch(layout.archive, progress))


def read_archive(name: str, layout: Layout, path: Path) -> Source:
    """The data set in the archive at `path`. `DataError` where it is not as `layout` says."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            # one pass from front to back: looking a member up elsewhere would unpack everything before it
            # again
            wanted = {*layout.train, *layout.test, layout.names}
            content = {
                member.name: _bytes(archive, member) for member in archive if member.isfile() and member.name in wanted
            }
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}. Delete it and try again.") from error
    if missing := sorted(wanted - content.keys()):
        raise DataError(f"{path} lacks {', '.join(missing)}. Delete it and try again.")
    classes = tuple(normal(line.strip()) for line in content[layout.names].decode("utf-8").splitlines() if line.strip())
    train = _records(b"".join(content[member] for member in layout.train), layout, path)
    test = _records(b"".join(content[member] for member in layout.test), layout, path)
    return array_source(name, classes, {"train": train, "test": test})


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > _LARGEST_MEMBER:
        raise DataError(
            f"{member.name} in the archive is not a file of the expected size. Delete the archive and try again."
        )
    return file.read()


def _records(content: bytes, layout: Layout, path: Path) -> tuple[UInt8, UInt8]:
    """Images (N, 3, 32, 32) and labels (N,): of several label bytes the last is the finest."""
    length = layout.label_bytes + int(np.prod(_IMAGE))
    if len(content) % length:
        raise DataError(
            f"{path}: {len(content)} bytes are no whole number of records of {length}. Delete it and try again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    return records[:, layout.label_bytes :].reshape(-1, *_IMAGE), records[:, layout.label_bytes - 1]
