import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import NeocogError
from neocog.files import remove_leftovers, save_whole, whole_file, write_whole

UNIX = pytest.mark.skipif(sys.platform == "win32", reason="limits and modes are those of Unix")


def only(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@given(st.one_of(st.binary(), st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, content: bytes | str) -> None:
    path = tmp_path_factory.getbasetemp() / "content"
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "결과.txt"
    write_whole(path, "old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert only(tmp_path, "결과.txt")


def test_until_it_is_whole_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    write_whole(path, "old")
    with whole_file(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    save_whole(path, lambda temporary: temporary.write_text("newer"))
    assert path.read_text() == "newer"
    assert only(tmp_path, "f.txt")


def test_the_old_file_is_replaced_and_never_written_into(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", "old")
    (tmp_path / "other").hardlink_to(tmp_path / "f")
    write_whole(tmp_path / "f", "new")
    assert (tmp_path / "other").read_text() == "old"


@UNIX
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_is_that_of_any_new_file(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "f", "x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o666 & ~mask


FULL = """
import resource, sys
from pathlib import Path
import torch
from neocog.errors import NeocogError
from neocog.files import write_whole
from neocog.training.checkpoint import save_tensors
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for write in (
    lambda: write_whole(Path("plain"), b"x" * 200_000),
    lambda: save_tensors(Path("tensors"), {"a": torch.zeros(100_000)}, {}),
):
    try:
        write()
    except NeocogError as error:
        print(error)
"""


@UNIX
def test_a_full_disk_is_a_readable_error_and_the_old_file_stays(tmp_path: Path) -> None:
    for name in ("plain", "tensors"):
        (tmp_path / name).write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    plain, tensors = done.stdout.splitlines()
    assert plain.startswith("cannot write plain: File too large. What stood there before is unchanged.")
    assert tensors.startswith("cannot write tensors: ") and "File too large" in tensors
    assert [(tmp_path / name).read_text() for name in ("plain", "tensors")] == ["old", "old"]
    assert only(tmp_path, "plain", "tensors")


def test_a_folder_that_is_not_there_or_is_a_file_is_a_readable_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing" / "f", tmp_path / "file" / "f"):
        with pytest.raises(NeocogError, match=r"cannot write .*: (No such file|Not a directory)"):
            write_whole(path, "x")


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = ["last.safetensors", ".last.txt", "best.safetensors", ".best.safetensors.abc12345.safetensors"]
    for name in [*names, ".last.safetensors.x1y2z3_a.safetensors"]:
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path / "last.safetensors")
    assert only(tmp_path, *names)
