"""Files fetched from their official pages, checked against the checksums published there."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neocog.data.source import Progress
from neocog.errors import DataError

_CONNECT_SECONDS, _READ_SECONDS = 15, 60


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: its name, address, published MD5, the page that publishes both, and megabytes."""

    name: str
    url: str
    md5: str
    page: str
    megabytes: int


def data_folder() -> Path:
    """Where downloads and decoded images are kept: $NEOCOG_DATA, or else a folder in the user's cache."""
    chosen = os.environ.get("NEOCOG_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("neocog"))


def fetch(file: RemoteFile, progress: Progress | None = None) -> Path:
    """The path of `file` in the data folder, downloaded if it is not there yet.

    Its checksum is looked at each time. Raises `DataError` where it cannot be had, and says how to put it
    there by hand.
    """
    folder = data_folder()
    path = folder / file.name
    if path.is_file():
        if _md5(path) == file.md5:
            return path
        raise DataError(
            f"{path} is not the published file: its MD5 is {_md5(path)}, and {file.page} says {file.md5}. "
            "It may be incomplete: delete it and try again."
        )
    _download(file, folder, progress)
    return path


def _download(file: RemoteFile, folder: Path, progress: Progress | None) -> None:
    import pooch
    import requests

    by_hand = (
        f"Without a connection: get {file.url} ({file.megabytes} MB) elsewhere, put it into {folder} as "
        f"{file.name}, and try "
        "again. Another folder can be named by the environment variable NEOCOG_DATA."
    )
    bar = _Bar(f"downloading {file.name}", progress) if progress is not None else False
    downloader = pooch.HTTPDownloader(progressbar=bar, timeout=(_CONNECT_SECONDS, _READ_SECONDS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _quiet():
            pooch.retrieve(file.url, f"md5:{file.md5}", fname=file.name, path=folder, downloader=downloader)
    except requests.exceptions.RequestException as error:
        raise DataError(f"cannot download {file.url}: {_short(error)}. {by_hand}") from error
    except ValueError as error:
        # pooch's word for a wrong checksum; it has thrown the file away
        raise DataError(f"{file.url} sent something else than the published file: {error}. {by_hand}") from error
    except OSError as error:
        raise DataError(f"cannot write {folder / file.name}: {error.strerror or error}. {by_hand}") from error


class _Bar:
    """What pooch asks of a progress bar, handed on to `progress`."""

    def __init__(self, what: str, progress: Progress) -> None:
        self.total = 0
        self._what, self._progress, self._done = what, progress, 0

    def update(self, more: int) -> None:
        self._done += more
        self._progress(self._what, self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing to close."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without pooch's own lines: what happens is told by the progress and the errors."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _short(error: Exception) -> str:
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return str(cause) or type(cause).__name__


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
