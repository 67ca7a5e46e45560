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
    by_hand = (
        f"Without a connection: get {file.url} ({file.megabytes} MB) elsewhere, put it into {folder} as "
        f"{file.name}, and try "
        "again. Another folder can be named by the environment variable NEOCOG_DATA."
    )
    try:
        retrieve(file.url, folder / file.name, megabytes=file.megabytes, md5=file.md5, progress=progress)
    except DownloadError as error:
        raise DataError(f"{error}. {by_hand}") from error


class DownloadError(Exception):
    """Why a file could not be downloaded, in words, without a full stop."""


def retrieve(
    url: str, path: Path, *, megabytes: int, md5: str = "", sha256: str = "", progress: Progress | None = None
) -> None:
    """Download `url` to `path`, whole and with the right checksum, or not at all.

    A download that was cut off goes on where it ended; where another process is downloading the same file, this one
    waits for it (`megabytes` is the size that its progress is measured by). `md5` is a whole checksum, `sha256` may be
    the beginning of one. Raises `DownloadError`.
    """
    import pooch
    import requests

    from neocog.data.resuming import ResumingDownloader, one_at_a_time

    part = path.with_name(f"{path.name}.part")

    def waiting() -> None:
        if progress is not None and part.is_file():
            size = part.stat().st_size
            progress(f"another process is downloading {path.name}", size, max(size, megabytes * 1_000_000))

    downloader = ResumingDownloader(part, sha256=sha256, progress=progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(part, waiting), _quiet():
            if path.is_file():
                return
            known = f"md5:{md5}" if md5 else None
            pooch.retrieve(url, known, fname=path.name, path=path.parent, downloader=downloader)
    except requests.exceptions.RequestException as error:
        kept = part.stat().st_size if part.is_file() else 0
        rest = f" ({kept / 1e6:,.0f} MB of it are here; the next try goes on from there)" if kept > 1e6 else ""
        raise DownloadError(f"cannot download {url}: {_short(error)}{rest}") from error
    except ValueError as error:
        # the word of pooch, and of the downloader, for a wrong checksum; the file has been thrown away
        raise DownloadError(f"{url} sent something else than the published file: {error}") from error
    except OSError as error:
        raise DownloadError(f"cannot write {path}: {error.strerror or error}") from error


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
