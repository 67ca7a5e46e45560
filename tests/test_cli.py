"""The command line as one types it: real processes where it matters, one interpreter elsewhere."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from tests.conftest import neocog, neocog_process
from typer.testing import CliRunner

from neocog import __version__
from neocog.cli import app
from neocog.run import Run

COMMANDS = [
    "train",
    "demo",
    "resume",
    "evaluate",
    "predict",
    "summary",
    "runs",
    "datasets",
    "models",
    "recipes",
    "reproduce",
    "doctor",
]


@pytest.fixture(scope="module")
def korean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `동물` holds two classes of pictures and `결과` the run trained on them."""
    root = tmp_path_factory.mktemp("한글 길")
    random = np.random.default_rng(0)
    for name, shade in (("고양이", 40), ("강아지", 210)):
        folder = root / "동물" / name
        folder.mkdir(parents=True)
        for index in range(20):
            noise = random.integers(-30, 30, (16, 16))
            Image.fromarray((shade + noise).astype(np.uint8)).save(folder / f"{name} {index}.png")
    (root / "동물" / "고양이" / "깨진.png").write_bytes(b"no picture")
    (root / "요리법.toml").write_text('[model]\nnetwork = "mlp"\n[train]\nbatch_size = 4\n', encoding="utf-8")
    done = neocog(
        *("train", "동물", "--recipe", "요리법.toml", "--model", "flatten | linear classes"),
        *("--epochs", "20", "--lr", "0.01", "--out", "결과"),
        cwd=root,
    )
    assert done.returncode == 0, done.stderr
    (root / "said.txt").write_text(done.stdout, encoding="utf-8")
    return root


def test_training_says_how_good_it_is_what_was_left_out_where_it_lies_and_what_is_next(korean: Path) -> None:
    said = (korean / "said.txt").read_text(encoding="utf-8")
    assert "validation accuracy (validation, used to choose) 100.00 % of 4 images" in said
    assert "note: 1 file could not be used and was left out; see 결과/skipped.csv" in said
    assert "next      neocog predict 결과 IMAGE…" in said
    assert {path.name for path in (korean / "결과").glob("*.png")} >= {"curves.png", "confusion.png", "samples.png"}
    assert Run(korean / "결과").recipe.data.source == str(korean / "동물")


def test_predict_takes_files_patterns_and_folders(korean: Path) -> None:
    done = neocog("predict", "결과", "동물/강아지", "동물/고양이/*1.png", "동물/고양이/고양이 2.png", cwd=korean)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 20 + 2 + 1
    assert all(
        re.fullmatch(r"동물/강아지/강아지 \d+\.png +강아지 +\d+\.\d %   고양이 \d+\.\d %", line) for line in lines[:20]
    )
    assert [line.split(".png")[0] for line in lines[:3]] == [f"동물/강아지/강아지 {index}" for index in range(3)]
    assert len({cell_len(line.split(" %")[0]) for line in lines}) == 1, "the columns do not stand below each other"


def test_predict_reads_a_list_and_goes_on_after_what_cannot_be_read(korean: Path) -> None:
    given = "동물/고양이/고양이 3.png\r\n\n동물/없음.png\n동물/고양이/깨진.png\n동물/강아지\n"
    done = neocog("predict", "결과", "-", "--format", "json", cwd=korean, given=given)
    assert done.returncode == 1
    assert done.stderr == "2 of 23 files could not be read.\n"
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.get("error") for answer in answers[:3]] == [
        None,
        "there is no such file",
        "not an image in a format known here",
    ]
    first = answers[0]
    assert (first["file"], first["label"], first["unsure"]) == ("동물/고양이/고양이 3.png", "고양이", False)
    assert sum(pair["probability"] for pair in first["top"]) == pytest.approx(1)
    assert [pair["label"] for pair in first["top"]] == ["고양이", "강아지"]


def test_predict_ends_with_2_where_nothing_could_be_read(korean: Path) -> None:
    done = neocog("predict", "결과", "동물/고양이/깨진.png", cwd=korean)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "동물/고양이/깨진.png  unreadable: not an image in a format known here",
        "1 of 1 file could not be read.",
    ]


def test_predict_writes_csv(korean: Path) -> None:
    done = neocog(
        *("predict", "결과", "동물/강아지/강아지 0.png", "동물/고양이/깨진.png"),
        *("--format", "csv", "--top", "1", "--min-confidence", "1"),
        cwd=korean,
    )
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["file", "label", "unsure", "label1", "probability1", "error"]
    assert rows[0]["label"] == rows[0]["label1"] == "강아지"
    assert rows[0]["unsure"] == "true"
    assert 0.5 < float(rows[0]["probability1"]) < 1
    assert rows[1] == dict.fromkeys(rows[0], "") | {
        "file": "동물/고양이/깨진.png",
        "error": "not an image in a format known here",
    }


def test_predict_is_unsure_below_the_least_confidence(korean: Path) -> None:
    done = neocog("predict", "결과/best.safetensors", "동물/강아지/강아지 0.png", "--min-confidence", "1", cwd=korean)
    assert done.returncode == 0, done.stderr
    assert "unsure (강아지?)" in done.stdout


def test_evaluate_counts_the_images_that_were_set_aside(korean: Path) -> None:
    done = neocog("evaluate", "결과", cwd=korean)
    assert done.returncode == 0, done.stderr
    first, *_, blank, heads, one, other = done.stdout.splitlines()
    assert "validation images, used to choose: accuracy 100.00 % of 4 images" in first
    assert (blank, heads.split()[:3]) == ("", ["class", "images", "right"])
    assert [row.split()[:4] for row in (one, other)] == [["강아지", "2", "2", "100.0"], ["고양이", "2", "2", "100.0"]]


def test_evaluate_on_other_images_says_what_it_left_out(korean: Path, tmp_path: Path) -> None:
    for name, shade in (("강아지", 200), ("고양이", 220)):
        (tmp_path / name).mkdir()
        Image.new("L", (16, 16), shade).save(tmp_path / name / "1.png")
    (tmp_path / "강아지" / "2.png").write_bytes(b"")
    done = neocog("evaluate", str(korean / "결과"), ".", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["images"], figures["correct"], figures["accuracy"], figures["skipped"]) == (2, 1, 0.5, 1)
    assert done.stderr == "left out: 강아지/2.png: the file is empty\n"
    table = neocog("evaluate", str(korean / "결과"), ".", cwd=tmp_path).stdout
    assert "accuracy 50.00 % of 2 images (95 % interval" in table
    assert re.search(r"고양이 +1 +0 .* 0\.0 %  0\.\d+  강아지 \(1\)", table)
    assert "1 mistake; most often 고양이 taken for 강아지 (1)" in table


def test_an_unfinished_run_is_listed_and_resumed(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[model]\nnetwork = "mlp"\n[train]\nepochs = 1\n')
    done = neocog("train", "digits", "--recipe", "recipe.toml", "--seed", "7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "runs" / "digits-001")
    assert run.recipe.train.seed == 7
    accuracy = f"{100 * run.metrics['test']['accuracy']:.2f} %"
    (run.path / "metrics.json").unlink()
    assert "not finished" in neocog("runs", cwd=tmp_path).stdout
    again = neocog("resume", "runs/digits-001", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"test accuracy {accuracy} of 360 images" in again.stdout
    assert "is finished already" in neocog("resume", "runs/digits-001", cwd=tmp_path).stdout
    # one that is damaged hides no other
    other = tmp_path / "runs" / "other"
    other.mkdir()
    (other / "recipe.toml").write_text("[train")
    listed = neocog("runs", cwd=tmp_path)
    assert listed.returncode == 0
    assert re.search(rf"runs/digits-001 +{accuracy} +test +1  digits +mlp", listed.stdout)
    assert re.search(r"runs/other +damaged", listed.stdout)
    assert "other/recipe.toml is not valid TOML" in listed.stderr


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    for arguments in (["--debug", "train", "nowhere"], ["train", "nowhere", "--debug"]):
        done = neocog(*arguments, cwd=tmp_path)
        assert done.returncode != 0
        assert "Traceback" in done.stderr
        assert "DataError: no data set, folder or CSV file is called 'nowhere'" in done.stderr


def test_a_closed_pipe_ends_it_quietly(korean: Path) -> None:
    process = neocog_process("predict", "결과", "-", "--format", "json", cwd=korean)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write("동물/고양이/고양이 3.png\n" * 1000)
    process.stdin.close()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


WITHOUT_TORCH = """
import sys
from neocog.cli import main
sys.argv = ["neocog", *sys.argv[1:]]
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
heavy = sorted({"torch", "kornia", "sklearn", "scipy", "matplotlib", "safetensors"} & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["datasets"], ["models"], ["models", "lenet5"], ["recipes"],
     ["recipes", "mnist"], ["runs"], ["summary", "lenet5"], ["reproduce"]],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_no_torch_does_not_import_it(arguments: list[str], korean: Path) -> None:
    runs = [str(korean)] if arguments == ["runs"] else []
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *arguments, *runs], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda command: " ".join(command) or "-")
def test_every_command_has_its_help(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert "Usage: " in shown.output
    assert max(map(cell_len, shown.output.splitlines())) <= 80
    for name in COMMANDS if not command else []:
        assert name in shown.output


def printed(*arguments: str) -> str:
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    return str(shown.output)


def test_the_version_is_printed() -> None:
    assert printed("--version") == f"{__version__}\n"


def test_data_sets_networks_and_recipes_are_listed_one_a_line_in_a_pipe() -> None:
    assert re.search(
        r"^mnist +1x28x28 +10 +60,000 +10,000  handwritten digits; in the package$", printed("datasets"), re.M
    )
    assert re.search(r"^lenet5 +61,706  1x28x28 +LeNet-5 in its modern form", printed("models"), re.M)
    assert re.search(r"^mnist +MNIST: ", printed("recipes"), re.M)


def test_one_network_is_told_whole() -> None:
    told = printed("models", "lenet5")
    assert "LeCun" in told
    assert "  conv 6 5x5 pad 2 | relu | maxpool 2\n" in told


def test_a_printed_recipe_is_one_that_loads(tmp_path: Path) -> None:
    from neocog.recipe import Recipe

    (tmp_path / "mine.toml").write_text(printed("recipes", "mnist"))
    assert Recipe.load(tmp_path / "mine.toml") == Recipe.load("mnist")


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (["lenet5"], "61,706"),
        (["conv 6 5x5 pad 2 | relu | maxpool 2 | flatten | linear 10", "--input", "1x28x28"], "11,926"),
        (["flatten | linear classes", "--input", "1x8x8", "--classes", "3"], "195"),
        (["tests.test_cli:own_network", "--input", "1x8x8", "--classes", "3"], "195"),
    ],
)
def test_summary_takes_a_name_a_notation_and_a_python_path(arguments: list[str], parameters: str) -> None:
    assert re.search(
        rf"^parameters: {parameters}, of which {parameters} trainable", printed("summary", *arguments), re.M
    )


def own_network(input_shape: tuple[int, int, int], num_classes: int) -> object:
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), num_classes))


def test_a_wide_table_folds_its_last_column_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from neocog import printing

    monkeypatch.setattr(printing, "out", Console(width=50, force_terminal=True))
    text = printing.table(
        ("name", "number", "what"), [("고양이", "1", "one two " * 12), ("b", "1,000", "")], right=["number"]
    )
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= 50
    assert lines[0] == "name    number  what"
    assert lines[1].startswith("고양이       1  one two")
    assert lines[2].startswith(" " * 16 + "one")
    assert lines[-1] == "b        1,000"
