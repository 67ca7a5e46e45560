"""The pictures of several seeds, and of accuracy under shift."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.reproduction.small import epoch

from neocog.errors import NeocogError
from neocog.report.seeds import plot_seeds
from neocog.report.shift import plot_shift
from neocog.reproduction.published import PUBLISHED
from neocog.reproduction.report import drawn_across

LONG = [epoch(1, 0.5, 0.4, 0.8), epoch(2, 0.3, 0.2, 0.9), epoch(3, 0.2, 0.3, 1.0)]
SHORT = [epoch(1, 0.7, 0.6, 0.6), epoch(2, 0.5, 0.4, 0.7)]


def test_seeds_are_thin_and_the_mean_goes_as_far_as_all_of_them(figures: list[Figure], tmp_path: Path) -> None:
    assert plot_seeds([LONG, SHORT], tmp_path / "두 시드.png", title="이름") == tmp_path / "두 시드.png"
    with Image.open(tmp_path / "두 시드.png") as image:
        assert image.format == "PNG"
    loss, accuracy = figures[0].axes
    assert [axes.get_title() for axes in (loss, accuracy)] == ["loss", "accuracy"]
    valid = [line for line in loss.lines if line.get_linestyle() == "-"]
    assert [len(line.get_xdata()) for line in valid] == [3, 2, 2]
    thin, _, mean = valid
    assert thin.get_linewidth() < mean.get_linewidth()
    assert np.allclose(mean.get_ydata(), [0.5, 0.3])
    assert np.allclose([line for line in accuracy.lines if line.get_linestyle() == "-"][-1].get_ydata(), [0.7, 0.8])
    assert figures[0].get_suptitle() == "이름, 2 seeds"


def test_one_seed_is_drawn_once_and_gaps_stay_gaps(figures: list[Figure], tmp_path: Path) -> None:
    history = [LONG[0], LONG[1] | {"valid_loss": math.inf}, {"train_loss": 0.2, "train_accuracy": 0.9}]
    plot_seeds([history, []], tmp_path / "one.png", title="one")
    train, valid = figures[0].axes[0].lines
    assert len(train.get_xdata()) == 3
    assert [math.isnan(value) for value in valid.get_ydata()] == [False, True, True]


def test_figures_that_no_seed_has_are_not_drawn(figures: list[Figure], tmp_path: Path) -> None:
    history = [{"train_loss": 0.2, "train_accuracy": 0.9}]
    plot_seeds([history], tmp_path / "one.png", title="one")
    assert [len(axes.lines) for axes in figures[0].axes] == [1, 1]


@pytest.mark.parametrize("histories", [[], [[]]])
def test_nothing_to_draw_is_refused(tmp_path: Path, histories: list[list[dict[str, Any]]]) -> None:
    with pytest.raises(NeocogError, match="there is no epoch to draw yet"):
        plot_seeds(histories, tmp_path / "none.png", title="none")
    assert not list(tmp_path.iterdir())


def test_shift_draws_the_mean_of_each_network(figures: list[Figure], tmp_path: Path) -> None:
    plot_shift({"cnn": [[1.0, 0.9], [0.8, 0.7]], "mlp": [[0.9, 0.3]]}, tmp_path / "shift.png")
    axes = figures[0].axes[0]
    named = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    assert set(named) == {"cnn", "mlp"}
    assert np.allclose(named["cnn"].get_ydata(), [0.9, 0.8])
    assert len(axes.lines) == 4
    assert named["cnn"].get_linestyle() != named["mlp"].get_linestyle()


@pytest.mark.parametrize(
    "accuracies", [{}, {"a": []}, {"a": [[]]}, {"a": [[1.0], [1.0, 2.0]]}, {"a": [[1.0]], "b": [[1.0]], "c": [[1.0]]}]
)
def test_accuracies_that_do_not_fit_are_refused(tmp_path: Path, accuracies: dict[str, list[list[float]]]) -> None:
    with pytest.raises(NeocogError, match="expected"):
        plot_shift(accuracies, tmp_path / "shift.png")
    assert not list(tmp_path.iterdir())


def test_a_published_figure_is_a_dotted_line_across(figures: list[Figure], tmp_path: Path) -> None:
    plot_seeds([LONG], tmp_path / "a.png", title="a", compared={"accuracy": 0.95}, compared_label="goal")
    loss, accuracy = figures[0].axes
    assert not [line for line in loss.lines if line.get_linestyle() == ":"]
    [line] = [line for line in accuracy.lines if line.get_linestyle() == ":"]
    assert set(line.get_ydata()) == {0.95}
    legend = figures[0].legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "goal"]


def test_what_is_drawn_across_is_what_the_claims_say() -> None:
    assert drawn_across(PUBLISHED["bootcamp-cnn"]) == {"loss": 0.0324, "accuracy": 0.9902}
    assert drawn_across(PUBLISHED["lenet5-1998"]) == {"accuracy": pytest.approx(0.9905)}
    assert drawn_across(PUBLISHED["fashion-scratch"]) == {}
    assert drawn_across(replace(PUBLISHED["mnist"], claims=())) == {}
