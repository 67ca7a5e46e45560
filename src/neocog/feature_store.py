"""Features on disk: rows of numbers by the digest of their image, in files that several processes may share."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from neocog.data.download import data_folder
from neocog.errors import NeocogError
from neocog.files import whole_file

DIGEST = 16
# Of all stored features together; the least recently used files go first.
_MOST = 4 * 2**30
# Files grow to about this size, so that what is wanted can be taken out of them one at a time.
_FILE = 2**27
# A file is joined with one as large as itself, or with any where it is smaller than this.
_LITTLE = 2**16
# A temporary file this old was left by a process that was killed.
_LEFT_SECONDS = 86_400


class FeatureStore:
    """The stored features of one network, named by `key`.

    A file holds some rows and the digests of their images, and is never changed: what one process writes takes nothing
    away from another. Small files are joined with the next ones. Where the folder cannot be written, or the disk is
    full, nothing is kept and nothing fails: `writable` is then False.
    """

    def __init__(self, key: str) -> None:
        self._folder, self._key = data_folder() / "features", key
        self.writable = True

    def read(self, wanted: Collection[bytes]) -> Iterator[tuple[list[bytes], Tensor]]:
        """Give the digests among `wanted` that are known, each once, with their rows, a file at a time."""
        given = set[bytes]()
        for file in self._files():
            digests, values = _read(file)
            rows = {digest: row for row, digest in enumerate(digests) if digest in wanted and digest not in given}
            if rows:
                given.update(rows)
                _used(file)
                yield list(rows), values[list(rows.values())]

    def add(self, digests: list[bytes], values: Tensor) -> None:
        """Keep `values` float32 (N, …) by their `digests`."""
        if not digests or not self.writable:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(digests, values)
            _forget_oldest(self._folder)
        except (OSError, NeocogError, SafetensorError):
            # It only saves time.
            self.writable = False

    def _write(self, digests: list[bytes], values: Tensor) -> None:
        joined = []
        for file in sorted(self._files(), key=_size):
            if values.nbytes >= _FILE or _size(file) > values.nbytes + _LITTLE:
                break
            before, rows = _read(file)
            if rows.shape[1:] == values.shape[1:]:
                digests, values = [*before, *digests], torch.cat([rows, values])
                joined.append(file)
        table = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).view(-1, DIGEST)
        name = hashlib.blake2b(b"".join(digests), digest_size=8).hexdigest()
        new = self._folder / f"{self._key}-{name}.safetensors"
        with whole_file(new) as temporary:
            save_file({"images": table, "features": values.contiguous()}, temporary)
        _remove(file for file in joined if file != new)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._key}-*.safetensors"))


def _read(file: Path) -> tuple[list[bytes], Tensor]:
    try:
        with safe_open(str(file), framework="pt") as stored:
            digests, values = stored.get_tensor("images").numpy(), stored.get_tensor("features")
        return [row.tobytes() for row in digests], values
    except (OSError, SafetensorError):
        # Missing, since another process has joined it with others, or damaged by a disk: computed anew.
        return [], torch.empty(0)


def _used(file: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(file)


def _size(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_size
    return 0


def _age(file: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - file.stat().st_mtime
    return 0.0


def _forget_oldest(folder: Path) -> None:
    every = sorted(folder.glob("*.safetensors"), key=_age)
    # What begins with a dot is being written by some process.
    _remove(file for file in every if file.name.startswith(".") and _age(file) > _LEFT_SECONDS)
    total = 0
    for number, file in enumerate(file for file in every if not file.name.startswith(".")):
        total += _size(file)
        if number and total > _MOST:
            _remove([file])


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()
