"""`neocog evaluate` as one types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from neocog.classifier import load
from neocog.cli import app
from neocog.errors import DataError, RecipeError

Run = Callable[..., Result]


@pytest.fixture
def evaluate(unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command in a folder with a copy of a run."""
    shutil.copytree(unbroken, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["evaluate", *arguments])


def test_json_has_every_figure_of_the_evaluation(evaluate: Run, tmp_path: Path) -> None:
    found = json.loads(evaluate("run", "--format", "json").stdout)
    expected = load(tmp_path / "run").evaluate()
    assert found | {"speed": None} == expected.all_figures() | {
        "speed": None, "source": "digits", "part": "test images", "skipped": 0, "flips": False
    }  # fmt: skip
    assert found["speed"]["milliseconds_an_image"] > 0


def test_calibrating_says_what_it_does_to_both_kinds_of_images(evaluate: Run, tmp_path: Path) -> None:
    plain = load(tmp_path / "run").evaluate()
    done = evaluate("run", "--calibrate")
    assert done.exit_code == 0, done.output
    first, heads, fit, test, *_ = done.stdout.splitlines()
    calibrated = load(tmp_path / "run")
    temperature = calibrated.metadata.temperature
    assert first.startswith(f"temperature {temperature:.4f}, fitted to 144 validation images, stored in run")
    assert heads.split() == ["images", "ECE", "calibrated", "loss", "calibrated"]
    assert fit.startswith("validation images, of the fit")
    after = calibrated.evaluate()
    expected = [plain.calibration().ece, after.calibration().ece]
    assert test.split() == [
        "test", "images", *(part for ece in expected for part in (f"{100 * ece:.2f}", "%")), f"{plain.loss:.4f}",
        f"{after.loss:.4f}",
    ]  # fmt: skip
    assert f"temperature {temperature:.3f}" in done.stdout
    found = json.loads(evaluate("run", "--format", "json", "--calibrate").stdout)
    assert found["fit"]["value"] == found["temperature"] == pytest.approx(temperature)
    assert found["uncalibrated"] == {"ece": pytest.approx(expected[0]), "loss": pytest.approx(plain.loss)}


def test_taking_the_calibration_back(evaluate: Run, tmp_path: Path) -> None:
    trained = (tmp_path / "run" / "best.safetensors").read_bytes()
    evaluate("run", "--calibrate")
    assert "The temperature is 1 again" in evaluate("run", "--uncalibrate").stdout
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == trained


def test_what_is_wrong_with_the_images_is_found_before_anything_is_written(evaluate: Run, tmp_path: Path) -> None:
    trained = (tmp_path / "run" / "best.safetensors").read_bytes()
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "pets" / "cat" / "1.png")
    assert isinstance(evaluate("run", "pets", "--calibrate").exception, DataError)
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == trained


def test_images_of_a_single_class_can_be_judged(evaluate: Run, tmp_path: Path) -> None:
    (tmp_path / "sevens" / "7").mkdir(parents=True)
    for number in range(2):
        Image.new("L", (8, 8), 80 * number).save(tmp_path / "sevens" / "7" / f"{number}.png")
    done = evaluate("run", "sevens", "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["images"] == 2


def test_a_folder_named_by_a_dot_is_called_by_its_name(
    evaluate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (tmp_path / "scans" / f"{number}").mkdir(parents=True)
        Image.new("L", (8, 8), 80 * number).save(tmp_path / "scans" / f"{number}" / "1.png")
    monkeypatch.chdir(tmp_path / "scans")
    done = evaluate("../run", ".", "--report")
    assert done.exit_code == 0, done.output
    assert "of the scans right" in (tmp_path / "run" / "report-scans.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--mistakes", "m.jpg"], "--mistakes m.jpg: expected the name of a file that ends in .png."),
        (["--mistakes", "no/m.png"], "--mistakes no/m.png: there is no folder no. Make it first."),
        (["--out", "report.pdf"], "--out report.pdf: expected the name of a file that ends in .html."),
        (["--out", "no/r.html"], "--out no/r.html: there is no folder no. Make it first."),
    ],
)
def test_files_that_cannot_be_written_are_refused_at_once(evaluate: Run, arguments: list[str], says: str) -> None:
    done = evaluate("missing", *arguments)
    assert isinstance(done.exception, RecipeError) and str(done.exception) == says


def test_the_mistakes_are_drawn(evaluate: Run, tmp_path: Path) -> None:
    done = evaluate("run", "--mistakes", "m.png")
    assert done.exit_code == 0 and "wrote m.png" in done.stderr
    assert Image.open(tmp_path / "m.png").width > 300


def test_a_report_lies_in_the_run_unless_it_is_named(evaluate: Run, tmp_path: Path) -> None:
    for digit in "03":
        (tmp_path / "digits2" / digit).mkdir(parents=True)
        Image.new("L", (8, 8), 90).save(tmp_path / "digits2" / digit / "1.png")
    for arguments, file in (
        (["--report"], "run/report.html"),
        (["--out", "page.html"], "page.html"),
        (["digits2", "--report"], "run/report-digits2.html"),
    ):
        (tmp_path / file).unlink(missing_ok=True)
        done = evaluate("run", *arguments)
        assert done.exit_code == 0, done.output
        assert f"wrote {file}" in done.stderr
        assert "<html" in (tmp_path / file).read_text(encoding="utf-8")
