"""Each picture: written, readable back, whole or not at all, and the same bytes again."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from neocog.errors import DataError, NeocogError
from neocog.report import canvas, curves
from neocog.report.confusion import plot_confusion
from neocog.report.curves import plot_curves
from neocog.report.mistakes import plot_mistakes
from neocog.report.samples import plot_samples

LONG = "아주 긴 이름을 가진 분류 항목의 이름입니다 정말로 길어요"


def row(epoch: int, stage: str = "train", **values: Any) -> dict[str, Any]:
    return {
        "stage": stage, "epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 1 - 0.5 / epoch,
        "valid_loss": abs(epoch - 4) + 0.5, "valid_accuracy": 0.9, "learning_rate": 1e-3, **values,
    }  # fmt: skip


def confusion(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(count).poisson(1.0, (count, count)) + 50 * np.eye(count, dtype=np.int64)


PICTURES: dict[str, Callable[[Path], Path]] = {
    "curves": lambda p: plot_curves([row(e) for e in range(1, 8)], p, title="학습"),
    "one epoch": lambda p: plot_curves([row(1)], p, title="one"),
    "stages": lambda p: plot_curves([row(1, "head"), row(1, LONG), row(2, LONG)], p, title="$x$"),
    "samples": lambda p: plot_samples(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), [LONG] * 5, p, title=LONG),
    "one sample": lambda p: plot_samples(np.zeros((1, 3, 200, 100), np.uint8), ["$5"], p, title="one"),
    "two classes": lambda p: plot_confusion(confusion(2), ["개미", "벌"], p, title="two"),
    "ten classes": lambda p: plot_confusion(confusion(10), list("0123456789"), p, title="ten"),
    "hundred classes": lambda p: plot_confusion(confusion(100), [f"{i} {LONG}" for i in range(100)], p, title="100"),
    "nothing counted": lambda p: plot_confusion(np.zeros((3, 3), np.int64), ["a", "b", "c"], p, title="none"),
    "mistakes": lambda p: plot_mistakes(
        np.zeros((3, 1, 8, 8), np.uint8), ["a", "قطة", LONG], ["b"] * 3, [1.0, 0.5, 0.2], p, title="wrong"
    ),
    "no mistakes": lambda p: plot_mistakes(np.zeros((0, 1, 8, 8), np.uint8), [], [], [], p, title="none"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_that_fits_a_screen_and_nothing_else_is_left(name: str, tmp_path: Path) -> None:
    path = tmp_path / "그림.png"
    assert PICTURES[name](path) == path
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert 300 <= image.width <= 1900 and 200 <= image.height <= 1900
        assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["그림.png"]


@pytest.mark.parametrize("name", ["curves", "samples", "ten classes", "mistakes"])
def test_the_same_input_gives_the_same_bytes_whatever_the_users_style(name: str, tmp_path: Path) -> None:
    PICTURES[name](tmp_path / "first.png")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "savefig.dpi": 20}):
        mine = dict(matplotlib.rcParams)
        PICTURES[name](tmp_path / "second.png")
        assert dict(matplotlib.rcParams) == mine
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_a_failure_leaves_the_old_picture(tmp_path: Path) -> None:
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), canvas.picture(path, (2, 2), ["x"]):
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(NeocogError, match="cannot write"):
        plot_curves([row(1)], tmp_path / "missing" / "x.png", title="x")


def test_pyplot_is_not_involved(tmp_path: Path) -> None:
    loaded = "matplotlib.pyplot" in sys.modules
    PICTURES["curves"](tmp_path / "x.png")
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_the_best_epoch_is_marked_where_validation_loss_is_lowest(tmp_path: Path, figures: list[Figure]) -> None:
    plot_curves([row(e) for e in range(1, 8)], tmp_path / "x.png", title="x")
    for axes in figures[0].axes:
        (star,) = [line for line in axes.lines if line.get_marker() == "*"]
        assert star.get_xdata()[0] == 4
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_without_validation_training_alone_is_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [row(e, valid_loss=None, valid_accuracy="") for e in range(1, 4)]
    plot_curves(rows, tmp_path / "x.png", title="x")
    labels = {line.get_label() for line in figures[0].axes[0].lines}
    assert labels == {"training", "best epoch (3)"}


def test_text_of_a_csv_and_values_that_are_not_finite_are_gaps() -> None:
    assert curves._number("0.25") == 0.25
    assert all(math.isnan(curves._number(value)) for value in (None, "", "nan", math.inf))


def test_each_stage_gets_a_border_and_a_name(tmp_path: Path, figures: list[Figure]) -> None:
    plot_curves([row(1, "head"), row(2, "head"), row(1, "tail")], tmp_path / "x.png", title="x")
    axes = figures[0].axes[0]
    borders = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert borders == [2.5]
    assert [text.get_text() for text in axes.texts] == ["head", "tail"]


def test_confusion_writes_every_count_that_is_not_zero_in_its_cell(tmp_path: Path, figures: list[Figure]) -> None:
    matrix = np.array([[7, 2, 0], [0, 5, 1], [3, 0, 9]])
    plot_confusion(matrix, ["a", "b", "c"], tmp_path / "x.png", title="x")
    written = {tuple(map(int, t.get_position())): int(t.get_text()) for t in figures[0].axes[0].texts}
    assert written == {(c, r): matrix[r, c] for r in range(3) for c in range(3) if matrix[r, c]}
    assert figures[0].axes[0].get_ylabel() == "true" and figures[0].axes[0].get_xlabel() == "predicted"


def test_samples_show_the_pixels_they_were_given(tmp_path: Path, figures: list[Figure]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    plot_samples(images, ["a", "$b$", "c"], tmp_path / "x.png", title="x", most=2)
    shown = [axes.images[0].get_array() for axes in figures[0].axes if axes.images]
    assert len(shown) == 2
    assert np.array_equal(shown[1], images[1].transpose(1, 2, 0))
    assert [axes.get_title() for axes in figures[0].axes][:2] == ["a", "$b$"]


def test_mistakes_say_what_was_said_and_what_is(tmp_path: Path, figures: list[Figure]) -> None:
    plot_mistakes(np.zeros((1, 1, 8, 8), np.uint8), ["cat"], ["dog"], [0.987], tmp_path / "x.png", title="x")
    axes = figures[0].axes[0]
    assert axes.get_title().replace("\u200e", "") == "said dog (99 %)"
    assert axes.texts[0].get_text() == "is cat"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda p: plot_curves([], p, title=""), "no epoch"),
        (lambda p: plot_samples(np.zeros((2, 8, 8), np.uint8), ["a", "b"], p, title=""), "expected uint8 images"),
        (lambda p: plot_samples(np.zeros((1, 1, 8, 8)), ["a"], p, title=""), "float64"),
        (lambda p: plot_samples(np.zeros((2, 1, 8, 8), np.uint8), ["a"], p, title=""), "labels for each of 2"),
        (lambda p: plot_samples(np.zeros((0, 1, 8, 8), np.uint8), [], p, title=""), "at least one image"),
        (lambda p: plot_confusion(np.zeros((2, 3), int), ["a", "b"], p, title=""), r"shape \(2, 2\)"),
        (lambda p: plot_confusion(np.zeros((2, 2)), ["a", "b"], p, title=""), "whole numbers"),
        (lambda p: plot_confusion(-np.ones((2, 2), int), ["a", "b"], p, title=""), "at least 0"),
        (lambda p: plot_mistakes(np.zeros((1, 1, 8, 8), np.uint8), ["a"], [], [1.0], p, title=""), "predicted"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, NeocogError), match=message):
        draw(tmp_path / "x.png")
    assert not list(tmp_path.iterdir())
