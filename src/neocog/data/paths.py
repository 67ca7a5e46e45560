"""Image files by path, folder and pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from neocog.data.decoding import image_suffixes
from neocog.data.names import is_hidden, natural_key, natural_sort, printable
from neocog.errors import DataError

Problem = Callable[[Path, str], None]


def image_files(paths: Iterable[str]) -> Iterator[Path]:
    """The image files that `paths` name, one after the other as they are found.

    A file is taken as it is; a folder gives the images in it and below, in natural order, hidden ones left
    out; anything else is a pattern with `*`, `?`, `[…]` or `**`. Raises `DataError` for what is not there,
    and for a folder or a pattern without images.
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from _some(_images_below(path), f"no images in {path}. Known endings: {_endings()}.")
        elif path.exists():
            yield path
        elif glob.has_magic(text):
            yield from _some(_matches(text), f"no image matches {text}. Known endings: {_endings()}.")
        else:
            raise DataError(
                f"no file or folder is called {printable(text)}. Mind the spelling, or give a pattern such as *.jpg."
            )


def files_below(folder: Path, problem: Problem, *, links_up: bool = True) -> Iterator[Path]:
    """Files in `folder` and below in natural order, hidden ones and junk left out.

    Symbolic links are followed, but each folder is entered only once, and without `links_up` none that holds
    `folder`. `problem(path, reason)` hears of folders that cannot be read.
    """
    above = () if links_up else folder.absolute().parents
    return _walk(folder, problem, {place for parent in above if (place := _place(parent)) is not None})


def entries(folder: Path) -> list[Path]:
    """What lies directly in `folder`, in natural order, hidden files and junk left out; or `OSError`."""
    return [folder / name for name in _inside(folder)]


def has_image_name(path: Path) -> bool:
    """Whether the name of `path` ends as an image's does, or has no ending at all."""
    return not path.suffix or path.suffix.lower() in image_suffixes()


def _walk(folder: Path, problem: Problem, entered: set[tuple[int, int]]) -> Iterator[Path]:
    place = _place(folder)
    if place in entered:
        return
    try:
        inside = _inside(folder)
    except OSError as error:
        problem(folder, f"the folder cannot be read ({error.strerror or error})")
        return
    if place is not None:
        entered.add(place)
    for name in inside:
        path = folder / name
        if path.is_dir():
            yield from _walk(path, problem, entered)
        else:
            yield path


def _place(folder: Path) -> tuple[int, int] | None:
    """What is the same for all names of a folder; None where it cannot be asked."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _inside(folder: Path) -> list[str]:
    # Names, not paths: a folder may hold a million of them.
    with os.scandir(folder) as found:
        return natural_sort(entry.name for entry in found if not is_hidden(entry.name))


def _images_below(folder: Path) -> Iterator[Path]:
    def refuse(path: Path, reason: str) -> None:
        raise DataError(
            f"{printable(str(path))}: {reason}. Give yourself the permission, or name the files one by one."
        )

    return (path for path in files_below(folder, refuse) if has_image_name(path))


def _matches(pattern: str) -> Iterator[Path]:
    # Path.glob takes no absolute pattern, and matches hidden files
    for match in sorted(glob.iglob(pattern, recursive=True), key=natural_key):  # noqa: PTH207
        path = Path(match)
        # with ** the files of a matched folder match by themselves
        if path.is_dir():
            if "**" not in pattern:
                yield from _images_below(path)
        elif has_image_name(path):
            yield path


def _some(found: Iterator[Path], otherwise: str) -> Iterator[Path]:
    first = next(found, None)
    if first is None:
        raise DataError(otherwise)
    yield first
    yield from found


def _endings() -> str:
    return " ".join(sorted(image_suffixes() & {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}))
