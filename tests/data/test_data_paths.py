from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from neocog.data import image_files
from neocog.errors import DataError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "b10.jpg",
        "b2.JPG",
        "note.txt",
        ".hidden.png",
        "sub/1.png",
        "sub/.git/x.png",
        "개미/사진.webp",
        "[x].png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*paths: str) -> list[str]:
    return [path.as_posix() for path in image_files(paths)]


def test_folders_files_and_patterns(tree: Path) -> None:
    assert names(".") == ["[x].png", "b2.JPG", "b10.jpg", "sub/1.png", "개미/사진.webp"]
    assert names("b10.jpg", "note.txt", "[x].png") == ["b10.jpg", "note.txt", "[x].png"]
    assert names("b*") == ["b2.JPG", "b10.jpg"]
    assert names("**/*.png") == ["[x].png", "sub/1.png"]
    assert names("s*") == ["sub/1.png"]
    assert names(str(tree / "sub")) == [(tree / "sub" / "1.png").as_posix()]


def test_they_come_one_after_the_other(tree: Path) -> None:
    endless = itertools.chain(["sub"], iter(lambda: "b10.jpg", None))
    assert [path.name for path in itertools.islice(image_files(endless), 3)] == ["1.png", "b10.jpg", "b10.jpg"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("nowhere.png", "no file or folder"), ("*.tiff", r"no image matches \*\.tiff"), ("empty", "no images in empty")],
)
def test_what_is_not_there_is_an_error(tree: Path, path: str, message: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        names(path)


def test_links_in_a_circle_end(tree: Path) -> None:
    (tree / "sub" / "again").symlink_to(tree, target_is_directory=True)
    assert sorted(Path(name).name for name in names("sub")) == sorted(
        ["1.png", "[x].png", "b2.JPG", "b10.jpg", "사진.webp"]
    )


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys\nfrom neocog.data import available\nassert available()\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
