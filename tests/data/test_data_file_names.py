from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.data.file_names import FileNames, FilePaths, chosen
from neocog.data.names import printable

PIECES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=6)
PATHS = st.lists(st.builds(lambda parts, root: Path(root, *parts), st.lists(PIECES, min_size=1), st.sampled_from(["", "/", ".."])), max_size=8)  # fmt: skip  # noqa: E501


@given(PATHS, st.data())
def test_they_are_the_sequence_of_the_paths(paths: list[Path], data: st.DataObject) -> None:
    files = FilePaths.of(paths)
    names = files.names()
    assert list(files) == paths and len(files) == len(paths) and files == paths
    assert names == [str(path) for path in paths] == list(names)
    rows = data.draw(st.lists(st.integers(0, len(paths) - 1), max_size=8)) if paths else []
    some = files.only(np.array(rows, np.int64))
    assert list(some) == [paths[row] for row in rows] and [files[row] for row in rows] == list(some)
    assert list(some[::-2]) == [paths[row] for row in rows][::-2]
    assert some.names() == [str(paths[row]) for row in rows] == list(names.only(rows))
    if rows:
        assert some[-1] == paths[rows[-1]] and paths[rows[0]] in some
    with pytest.raises(IndexError):
        files[len(paths)]


def test_bytes_that_are_not_utf_8_come_back_and_are_printable_as_names() -> None:
    path = Path("a", "caf\udce9.png")
    files = FilePaths.of([path])
    assert files[0] == path and os.fsencode(files[0]) == b"a/caf\xe9.png"
    assert files.names()[0] == printable(str(path)) == "a/caf�.png"


def test_what_is_equal_is_equal_whatever_holds_it() -> None:
    one, other = (FilePaths.of([Path("a/1"), Path("b/2")]).names() for _ in range(2))
    assert one == other == ("a/1", "b/2") and one != ("a/1",) and one != "a/1" and one != FileNames()
    assert pickle.loads(pickle.dumps(one)) == one


def test_choosing_from_a_tuple_gives_a_tuple() -> None:
    assert chosen(("a", "b", "c"), np.array([2, 0])) == ("c", "a")
    view = chosen(FilePaths.of([Path("a"), Path("b")]).names(), np.array([1]))
    assert isinstance(view, FileNames) and list(view) == ["b"]
