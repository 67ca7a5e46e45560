"""A downloader for pooch that goes on where an earlier download of the same file was cut off."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neocog.data.source import Progress

if TYPE_CHECKING:
    from requests import Response

_CONNECT_SECONDS, _READ_SECONDS = 15, 60
# What has come of a chunk is lost with the connection.
_CHUNK = 2**14
# So often a connection that breaks while bytes come is taken up again by itself.
_MOST_BREAKS = 5
_BREAK_SECONDS = 1.0
_WAIT_SECONDS = 0.2


class ResumingDownloader:
    """What pooch calls to download: `downloader(url, output_file, pooch)`.

    What has come so far lies in `part`, and beside it, in `<part>.from`, which version of the file it is of (its ETag,
    or else its date). The next download asks the server for the rest alone, as long as the file is the same (HTTP
    `Range` with `If-Range`); a server that does not know ranges, or has another file by now, begins again. The whole
    file must have a SHA-256 that begins with `sha256`; else it is thrown away and `ValueError` raised.
    """

    def __init__(self, part: Path, *, sha256: str = "", progress: Progress | None = None) -> None:
        self._part, self._from = part, part.with_name(f"{part.name}.from")
        self._sha256, self._progress = sha256, progress
        self._what = f"downloading {part.name.removesuffix('.part')}"

    def __call__(self, url: str, output_file: str, pooch: object = None) -> None:
        """Download `url` to `output_file`, which is written when all has come and is right.

        Raises `requests.RequestException` where it cannot be had; what has come by then stays for the next time.
        """
        self._receive(url)
        if self._sha256:
            self._check()
        self._from.unlink(missing_ok=True)
        self._part.replace(output_file)

    def _receive(self, url: str) -> None:
        from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

        for attempt in range(_MOST_BREAKS + 1):
            before = self._size()
            try:
                self._rest(url)
                return
            except (ChunkedEncodingError, ConnectionError, Timeout):
                if self._size() == before or attempt == _MOST_BREAKS:
                    raise
                time.sleep(_BREAK_SECONDS)

    def _rest(self, url: str) -> None:
        import requests

        start = self._size()
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            version = self._version()
            if version:
                headers["If-Range"] = version
        timeout = (_CONNECT_SECONDS, _READ_SECONDS)
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable and start:
                if _all_of(response) == start:
                    return
                self.forget()
                raise requests.ConnectionError("the file on the server has changed; try again")
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                start = 0
            elif _first_of(response) != start:
                self.forget()
                raise requests.ConnectionError("the server sent another range of the file than it was asked for")
            self._append(response, start)

    def _append(self, response: Response, start: int) -> None:
        import requests

        if start == 0:
            self._from.write_text(_version_of(response), encoding="utf-8")
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else 0
        with self._part.open("r+b" if start else "wb") as file:
            done = file.seek(start)
            for chunk in response.iter_content(_CHUNK):
                done += file.write(chunk)
                if self._progress is not None:
                    self._progress(self._what, done, max(total, done))
            file.flush()
            os.fsync(file.fileno())
        if done < total:
            raise requests.ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")

    def _check(self) -> None:
        with self._part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(self._sha256):
            size = self._size()
            self.forget()
            raise ValueError(
                f"{size:,} bytes came whose SHA-256 begins with {found[: len(self._sha256)]}, not {self._sha256}; "
                "they have been thrown away"
            )

    def forget(self) -> None:
        """Throw away what has come."""
        self._part.unlink(missing_ok=True)
        self._from.unlink(missing_ok=True)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _version(self) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._from.read_text(encoding="utf-8").strip()
        return ""


@contextlib.contextmanager
def one_at_a_time(path: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Wait until no other process is within this block for the same `path`; `waiting()` is called meanwhile.

    A file `<path>.lock` is locked, which ends with the process however that ends.
    """
    lock = path.with_name(f"{path.name}.lock")
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _locked(handle) and _is_still(handle, lock):
                break
            os.close(handle)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        if waiting is not None:
            waiting()
        time.sleep(_WAIT_SECONDS)
    try:
        yield
    finally:
        # Windows keeps a file that is open; it does no harm.
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(handle)


def _locked(handle: int) -> bool:
    locking: Any
    try:
        import fcntl as locking
    except ImportError:
        import msvcrt as locking
    try:
        if hasattr(locking, "flock"):
            locking.flock(handle, locking.LOCK_EX | locking.LOCK_NB)
        else:
            locking.locking(handle, locking.LK_NBLCK, 1)
    except BlockingIOError:
        return False
    except OSError:
        # msvcrt says so of a lock that another holds; a network disk without locks goes on without one, and the
        # checksum finds what two writers at once may have made.
        return hasattr(locking, "flock")
    return True


def _is_still(handle: int, lock: Path) -> bool:
    """Whether the locked file is the one that has the name: the one before may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False


def _version_of(response: Response) -> str:
    """What says that the file is the same: its ETag, unless that is a weak one, else when it was last changed."""
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return str(response.headers.get("Last-Modified", ""))


def _first_of(response: Response) -> int | None:
    """The first byte of `Content-Range: bytes 100-199/200`."""
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else None


def _all_of(response: Response) -> int | None:
    """The whole size of `Content-Range: bytes */200`."""
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdecimal() else None
