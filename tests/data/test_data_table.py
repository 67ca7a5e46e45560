from __future__ import annotations

from pathlib import Path

import pytest

from neocog.data import load, load_images
from neocog.data.geometry import Geometry
from neocog.errors import DataError
from neocog.recipe import DataSettings

from .data_pictures import noise


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "사진").mkdir()
    for number in range(12):
        noise(number).save(tmp_path / "사진" / f"{number}.png")
    return tmp_path


def write(folder: Path, header: str, rows: list[str], *, encoding: str = "utf-8") -> DataSettings:
    path = folder / "list.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding=encoding)
    return DataSettings(source=str(path))


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_is_a_data_set(images: Path, mark: str, encoding: str) -> None:
    rows = [mark.join(("ignored", f"사진/{number}.png", f"class{8 + number % 3}")) for number in range(12)]
    data = load(write(images, mark.join(("Note", "Path", " LABEL ")), rows, encoding=encoding))
    assert data.name == "list" and data.classes == ("class8", "class9", "class10")
    assert data.valid is not None and len(data.train) + len(data.valid) == 12


def test_quoted_cells_and_absolute_paths(images: Path) -> None:
    rows = [f'"{images / "사진" / f"{number}.png"}","{"cat, black" if number % 2 else "dog"}"' for number in range(12)]
    assert load(write(images, "path,label", rows)).classes == ("cat, black", "dog")


def test_splits_are_taken_from_the_list(images: Path) -> None:
    parts = ["train", "", "VAL", "validation", "test", "test"]
    rows = [f"사진/{number}.png,{number % 2},{parts[number // 2]}" for number in range(12)]
    settings = write(images, "path,label,split", rows)
    data = load(settings)
    assert data.valid is not None and data.test is not None and data.validation_origin == "folder"
    assert (len(data.train), len(data.valid), len(data.test)) == (4, 4, 4)
    assert len(load_images(settings.source, Geometry((4, 4), 3), ("0", "1"))) == 4
    assert len(load_images(settings.source, Geometry((4, 4), 3), ("0", "1"), split="all")) == 12


def test_a_column_of_groups(images: Path) -> None:
    rows = [f"사진/{number}.png,{number % 2},specimen {number // 2 % 3}" for number in range(12)]
    settings = write(images, "path,label,Specimen", rows).model_copy(update={"groups": "specimen", "validation": 0.3})
    data = load(settings)
    assert data.valid is not None
    sides = [{int(Path(source).stem) // 2 % 3 for source in part.sources or ()} for part in (data.train, data.valid)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == {0, 1, 2}


def test_a_pattern_where_no_column_has_its_name(images: Path) -> None:
    rows = [f"사진/{number}.png,{number % 2}" for number in range(12)]
    settings = write(images, "path,label", rows).model_copy(update={"groups": r"^(\d)", "validation": 0.3})
    data = load(settings)
    assert data.valid is not None
    # 1.png, 10.png and 11.png begin with the same digit
    sides = [{Path(source).stem for source in part.sources or ()} for part in (data.train, data.valid)]
    assert any({"1", "10", "11"} <= side for side in sides)


def test_missing_files_and_repetitions_are_reported(images: Path) -> None:
    rows = [f"사진/{number}.png,{number % 2}" for number in range(12)]
    data = load(write(images, "path,label", [*rows, rows[0], "gone.png,1"]))
    assert [skipped.reason for skipped in data.skipped] == ["there is no such file"]
    assert data.valid is not None and len(data.train) + len(data.valid) == 12
    assert "each file counts once" in data.notes[0]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("file,class", ["사진/1.png,a"], "columns path and label.*'file,class'"),
        ("", [], "columns path and label"),
        ("path,label", [], "lists no images"),
        ("path,label", ["사진/1.png,a", "사진/2.png"], "line 3: 1 values"),
        ("path,label", ["사진/1.png,"], "line 2: the label is empty"),
        ("path,label", [",a"], "line 2: the path is empty"),
        (
            "path,label,split",
            ["사진/1.png,a,training set"],
            "line 2: the split is train, val or test; .*'training set'",
        ),
        ("path,label", ["사진/1.png,a", "", "사진/1.png,b"], "line 4: 사진/1.png is b .* on line 2"),
        ("path,label,label", ["사진/1.png,a,b"], "label more than once"),
        ("path,label", ["사진/1.png,a", "사진/2.png,a"], "at least two classes"),
        ("path,label", ["1.png,a", "2.png,b"], "none of 2 files .*no such file"),
    ],
)
def test_lists_that_cannot_be_used_name_the_line(images: Path, header: str, rows: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(write(images, header, rows))


def test_an_empty_group_is_refused(images: Path) -> None:
    settings = write(images, "path,label,who", ["사진/1.png,a,", "사진/2.png,b,x"])
    with pytest.raises(DataError, match="line 2: the column who is empty"):
        load(settings.model_copy(update={"groups": "who"}))


def test_other_encodings_and_other_files_are_refused(images: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        load(write(images, "path,label", ["사진/1.png,개미"], encoding="cp949"))
    with pytest.raises(DataError, match="neither a folder nor a CSV"):
        load(DataSettings(source=str(images / "사진" / "1.png")))
