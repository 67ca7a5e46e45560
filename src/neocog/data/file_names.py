"""Paths of many files, in few bytes each."""

from __future__ import annotations

import os
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from neocog.data.names import printable

Value = TypeVar("Value", covariant=True)
Rows = npt.NDArray[np.int64]


class _Store:
    """Each folder once, and the names of the files one after the other in one piece of memory."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self._places: dict[str, int] = {}
        self._folder_of = array("i")
        self._ends = array("q", [0])
        self._names = bytearray()

    def __len__(self) -> int:
        return len(self._folder_of)

    def add(self, path: str) -> None:
        folder, name = os.path.split(path)
        place = self._places.setdefault(folder, len(self.folders))
        if place == len(self.folders):
            self.folders.append(folder)
        self._folder_of.append(place)
        self._names += name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._names))

    def path(self, row: int) -> str:
        name = self._names[self._ends[row] : self._ends[row + 1]].decode("utf-8", "surrogateescape")
        return os.path.join(self.folders[self._folder_of[row]], name)  # noqa: PTH118 - a string is wanted


class _Files(Sequence[Value]):
    """What `FilePaths` and `FileNames` share: some rows of a store, or all of them."""

    def __init__(self, store: _Store | None = None, rows: Rows | None = None) -> None:
        self._store = _Store() if store is None else store
        self._rows = rows

    @abstractmethod
    def _value(self, path: str) -> Value:
        """What one gets for the file at `path`."""

    def __len__(self) -> int:
        return len(self._store) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Value | Self:
        if isinstance(index, slice):
            return self.only(np.arange(*index.indices(len(self)), dtype=np.int64))
        # range looks after negative numbers and those that are too large
        place = range(len(self))[index]
        return self._value(self._store.path(place if self._rows is None else int(self._rows[place])))

    def __iter__(self) -> Iterator[Value]:
        rows: Iterable[int] = range(len(self._store)) if self._rows is None else self._rows
        return (self._value(self._store.path(int(row))) for row in rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} files)"

    def only(self, rows: Rows | Sequence[int]) -> Self:
        """The files at `rows`, in their order."""
        chosen = np.asarray(rows, np.int64)
        return type(self)(self._store, chosen if self._rows is None else self._rows[chosen])


class FilePaths(_Files[Path]):
    """Paths of files, in order: a sequence that makes each `Path` when it is asked for.

    A file takes the bytes of its name and twelve more, where a tuple of paths takes several hundred.
    """

    @classmethod
    def of(cls, paths: Iterable[Path]) -> FilePaths:
        """These paths."""
        if isinstance(paths, FilePaths):
            return paths
        made = cls()
        for path in paths:
            made.append(path)
        return made

    def append(self, path: Path) -> None:
        """Add one at the end; only to paths that were not taken from others."""
        self._store.add(str(path))

    def names(self) -> FileNames:
        """The same files as printable text; the memory is shared."""
        return FileNames(self._store, self._rows)

    def _value(self, path: str) -> Path:
        return Path(path)


class FileNames(_Files[str]):
    """Paths of files as text that can be printed and stored: bytes that are not UTF-8 become U+FFFD."""

    def _value(self, path: str) -> str:
        return printable(path)


def chosen(values: Sequence[str], rows: Rows) -> Sequence[str]:
    """`values` at `rows`: a view of `FileNames`, a tuple of anything else."""
    return values.only(rows) if isinstance(values, _Files) else tuple(values[row] for row in rows)
