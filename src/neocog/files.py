"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from neocog.errors import NeocogError


@contextlib.contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error it becomes `path`, flushed to disk.

    A failure at any moment leaves what stood at `path` before. Raises `NeocogError` where the disk is full
    or the folder cannot be written.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise write_error(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path | str, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def save_whole(path: Path | str, save: Callable[[Path], object]) -> None:
    """Let `save` write to a temporary path that then becomes `path`."""
    with whole_file(path) as temporary:
        save(temporary)


def remove_leftovers(path: Path | str) -> None:
    """Remove the temporary files beside `path` that a killed process left; no other may be writing it now."""
    path = Path(path)
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*"):
        temporary.unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> NeocogError:
    """Say in one sentence why `path` could not be written."""
    reason = error.strerror or str(error)
    return NeocogError(
        f"cannot write {path}: {reason}. What stood there before is unchanged. "
        "Free some space or choose another folder, then go on."
    )


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder for syncing; there the rename alone has to do.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
