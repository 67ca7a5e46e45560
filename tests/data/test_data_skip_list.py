from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from neocog.data import DataSet, load
from neocog.data.skip_list import read_skip_list
from neocog.errors import DataError
from neocog.recipe import DataSettings

from .data_pictures import noise

Make = Callable[..., Path]
ODD = ["빈 칸.png", 'quo"te.png', "com,ma.png", "🐝.png", "#1.png", "it's.png", " blank.png"]


def load_without(root: Path, listed: Path, **values: object) -> DataSet:
    return load(DataSettings(source=str(root), skip_list=str(listed), validation=2, **values))  # type: ignore[arg-type]


def left_out(data: DataSet) -> dict[str, str]:
    return {Path(skipped.path).name: skipped.reason for skipped in data.skipped}


def used(data: DataSet) -> set[str]:
    assert data.valid is not None
    return {Path(source).name for part in (data.train, data.valid) for source in part.sources or ()}


@pytest.fixture
def odd_folder(make_folder: Make) -> Path:
    root = make_folder({"a": 4, "b": 4})
    for number, name in enumerate(ODD):
        noise(100 + number).save(root / "a" / name)
    return root


def test_lines_name_files_of_the_folder(odd_folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# not wanted\n\n" + "".join(f"a/{name}\n" for name in ODD) + "b/1.png\n", encoding="utf-8")
    data = load_without(odd_folder, listed)
    assert left_out(data) == dict.fromkeys([*ODD, "1.png"], "on the skip list")
    assert not used(data) & set(ODD) and len(data.train) + 2 == 7 and not data.notes


def test_a_csv_file_brings_reasons(odd_folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    with listed.open("w", encoding="utf-8-sig", newline="") as file:
        file.write("# what is better left out\n# (found by an audit)\n")
        writer = csv.writer(file)
        writer.writerow(["path", "reason"])
        writer.writerows([f"a/{name}", "a copy, of another"] for name in ODD)
        file.write('# b, "or not b\n')
        writer.writerow([odd_folder / "b" / "2.png", ""])
    data = load_without(odd_folder, listed)
    assert left_out(data) == dict.fromkeys(ODD, "on the skip list: a copy, of another") | {"2.png": "on the skip list"}


@pytest.mark.parametrize(
    "line", ["a/1.png", "  a/1.png ", '"a/1.png"', "./a/1.png", "images/a/1.png", "{root}/a/1.png"]
)
def test_a_file_is_found_by_what_one_would_write(
    line: str, make_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder({"a": 4, "b": 4})
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text(line.format(root=root) + "\r\n")
    assert set(left_out(load_without(Path("images"), Path("list.txt")))) == {"1.png"}


def test_the_form_of_unicode_letters_does_not_matter_unless_two_files_differ_by_it(
    make_folder: Make, tmp_path: Path
) -> None:
    root = make_folder({"a": 4, "b": 4})
    composed, decomposed = (unicodedata.normalize(form, "개미.png") for form in ("NFC", "NFD"))
    noise(50).save(root / "a" / decomposed)
    (tmp_path / "list.txt").write_text(f"a/{composed}\n", encoding="utf-8")
    assert set(left_out(load_without(root, tmp_path / "list.txt"))) == {decomposed}
    noise(51).save(root / "a" / composed)
    if len(list((root / "a").iterdir())) < 6:
        pytest.skip("this file system takes the two names for one")
    assert set(left_out(load_without(root, tmp_path / "list.txt"))) == {composed}


def test_a_name_that_is_not_utf_8_can_be_listed(make_folder: Make, tmp_path: Path) -> None:
    root = make_folder({"a": 4, "b": 4})
    try:
        noise(50).save(root / "a" / "caf\udce9.png")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes no such name")
    (tmp_path / "list.txt").write_bytes(b"a/caf\xe9.png\n")
    assert set(left_out(load_without(root, tmp_path / "list.txt"))) == {"caf�.png"}


def test_paths_of_a_table_count_from_the_table(make_folder: Make, tmp_path: Path) -> None:
    root = make_folder({"a": 4, "b": 4})
    lines = [f"{name}/{number}.png,{name}\n" for name in "ab" for number in range(4)]
    (root / "list.csv").write_text("path,label\n" + "".join(lines))
    (tmp_path / "skip.txt").write_text("b/3.png\n")
    assert left_out(load_without(root / "list.csv", tmp_path / "skip.txt")) == {"3.png": "on the skip list"}


def test_what_names_nothing_is_noted_and_a_list_that_names_nothing_is_refused(
    make_folder: Make, tmp_path: Path
) -> None:
    root, listed = make_folder({"a": 4, "b": 4}), tmp_path / "list.txt"
    (root / "a" / "notes.txt").write_text("text")
    listed.write_text("a/1.png\na/none.png\na/notes.txt\n")
    data = load_without(root, listed)
    assert data.notes == ("1 of 3 paths of the skip list name no image here: a/none.png.",)
    listed.write_text("x/1.png\n")
    with pytest.raises(DataError, match=r"none of the 1 paths .*x/1\.png.* is called a/0\.png"):
        load_without(root, listed)
    listed.write_text("# nothing to leave out\npath,reason\n")
    assert set(left_out(load_without(root, listed))) == {"notes.txt"}


def test_strict_does_not_refuse_what_the_user_left_out(make_folder: Make, tmp_path: Path) -> None:
    root, listed = make_folder({"a": 4, "b": 4}), tmp_path / "list.txt"
    (root / "a" / "broken.png").touch()
    listed.write_text("a/broken.png\n")
    assert set(left_out(load_without(root, listed, strict=True))) == {"broken.png"}
    listed.write_text("a/1.png\n")
    with pytest.raises(DataError, match="1 of its files"):
        load_without(root, listed, strict=True)


def test_a_class_that_is_left_out_whole_is_told(make_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("c/0.png\nc/1.png\n")
    data = load_without(make_folder({"a": 4, "b": 4, "c": 2}), tmp_path / "list.txt")
    assert data.classes == ("a", "b") and "class c is left out" in data.notes[0]


def test_sets_without_files_take_no_list(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1.png\n")
    with pytest.raises(DataError, match=r"digits has none: skip_list goes with a folder"):
        load_without(Path("digits"), tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the skip list"),
        ("a/1.png\n".encode("utf-16"), "not UTF-8"),
        (b"path,reason\na/1.png\n", "line 2: 1 values, but the header names 2"),
        (b'path,reason\n"a/1.png,\n', "line 2: 1 values"),
    ],
)
def test_lists_that_cannot_be_read_say_why(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_skip_list(tmp_path / "list.csv")
