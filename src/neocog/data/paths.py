"""Image files by path, folder and pattern."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from neocog.data.decoding import image_suffixes
from neocog.data.names import is_hidden, natural_key, printable
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


def files_below(folder: Path, problem: Problem) -> Iterator[Path]:
    """Files in `folder` and below in natural order, hidden ones and junk left out.

    Symbolic links are followed, but each folder is entered only once. `problem(path, reason)` hears of
    folders that cannot be read.
    """
    return _walk(folder, problem, set())


def entries(folder: Path) -> list[Path]:
    """What lies directly in `folder`, in natural order, hidden files and junk left out; or `OSError`."""
    return sorted((path for path in folder.iterdir() if not is_hidden(path)), key=lambda path: natural_key(path.name))


def has_image_name(path: Path) -> bool:
    """Whether the name of `path` ends as an image's does, or has no ending at all."""
    return not path.suffix or path.suffix.lower() in image_suffixes()


def _walk(folder: Path, problem: Problem, entered: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        inside = entries(folder)
    except OSError as error:
        problem(folder, f"the folder cannot be read ({error.strerror or error})")
        return
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    for path in inside:
        if path.is_dir():
            yield from _walk(path, problem, entered)
        else:
            yield path


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
