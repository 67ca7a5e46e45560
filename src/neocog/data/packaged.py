"""The data sets that the package carries: MNIST and Fashion-MNIST, their IDX files compressed with xz."""

from __future__ import annotations

import hashlib
import lzma
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

from neocog.data.idx import parse_idx
from neocog.data.source import Source, UInt8, array_source
from neocog.errors import DataError

FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")

# SHA-256 of each uncompressed IDX file, as published (the gzip around it taken off)
SHA256 = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion-mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def packaged_source(name: str, classes: tuple[str, ...]) -> Source:
    """A data set of the package: 60,000 training and 10,000 test images, 28x28, grayscale.

    Raises `DataError` where a file of the package is missing or damaged.
    """
    # lzma gives up the interpreter lock: four files unpack side by side
    with ThreadPoolExecutor(len(FILES)) as pool:
        train_images, train_labels, test_images, test_labels = pool.map(
            lambda file: parse_idx(unpack(name, file), f"{name}/{file}-ubyte"), FILES
        )
    parts: dict[str, tuple[UInt8, UInt8]] = {
        "train": (train_images, train_labels),
        "test": (test_images, test_labels),
    }
    return array_source(name, classes, parts)  # type: ignore[arg-type]


def unpack(name: str, file: str) -> bytes:
    """The bytes of one IDX file, such as unpack("mnist", "t10k-labels-idx1"), checked by SHA-256."""
    resource = resources.files("neocog.data") / "builtin" / f"{name}-{file}-ubyte.xz"
    try:
        content = lzma.decompress(resource.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise DataError(f"the package's file {resource} cannot be read: {error}. Install neocog again.") from error
    if hashlib.sha256(content).hexdigest() != SHA256[name][FILES.index(file)]:
        raise DataError(f"the package's file {resource} is damaged: its checksum is wrong. Install neocog again.")
    return content
