"""What is chosen for photographs: measured within the training images, within the time, and told."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.transfer.pictures import NETWORK, own_cache, write_pictures, write_weights

import neocog
from neocog.data import DataSet
from neocog.errors import RecipeError
from neocog.recipe import Recipe
from neocog.transfer import choosing
from neocog.transfer.choosing import Choice, choose, difference
from neocog.transfer.folds import folds
from neocog.transfer.trying import TooLong, Trial, try_training

__all__ = ["own_cache"]


@pytest.fixture
def base(tmp_path: Path) -> Recipe:
    values: dict[str, Any] = {
        "data.source": str(write_pictures(tmp_path / "pictures")),
        "model.network": NETWORK,
        "model.pretrained": str(write_weights(tmp_path / "old.safetensors")),
        "train.batch_size": 8,
        "train.threads": 1,
    }
    return Recipe.load("fine-tune").with_values(values)


def heard_choice(recipe: Recipe, minutes: float) -> tuple[Choice, list[str]]:
    heard: list[str] = []
    return choose(recipe, minutes=minutes, tell=heard.append), heard


def test_without_time_features_are_extracted_and_the_penalty_stands_in_the_recipe(base: Recipe) -> None:
    choice, heard = heard_choice(base, 1e-6)
    (stage,) = choice.recipe.stages()
    assert stage.train.optimizer == "logistic-regression" and isinstance(stage.train.l2_penalty, float)
    assert [tried["procedure"] for tried in choice.figures["tried"]] == ["extraction"]
    # nothing stands in it that does not happen
    assert not choice.recipe.augment.active and choice.recipe.train.label_smoothing == 0
    assert choice.recipe.train.batch_size == 8 and choice.recipe.train.threads == 1
    assert any("was not tried" in text and "--minutes" in text for text in heard)
    assert tuple(heard) == choice.reasons


def test_with_time_fine_tuning_is_measured_in_the_same_folds_and_the_better_is_chosen(base: Recipe) -> None:
    choice, heard = heard_choice(base, 30)
    tried = {each["procedure"]: each for each in choice.figures["tried"]}
    assert list(tried) == ["extraction", "fine-tuning of the last blocks", "fine-tuning of all layers"]
    assert choice.figures["chosen"] in tried and any(text.startswith("chosen: ") for text in heard)
    best = max(each["correct"] for each in tried.values())
    assert tried[choice.figures["chosen"]]["correct"] <= best
    stages = {"extraction": 1, "fine-tuning of the last blocks": 2, "fine-tuning of all layers": 3}
    assert len(choice.recipe.stage) == stages[choice.figures["chosen"]]
    for each in tried.values():
        low, high = each["interval95"]
        assert low <= each["accuracy"] <= high and each["images"] == 25


def test_the_validation_images_decide_nothing(base: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = heard_choice(base, 1e-6)
    load: Callable[..., DataSet] = neocog.training.preparing.load  # type: ignore[attr-defined]

    def spoiled(*given: Any, **named: Any) -> DataSet:
        data = load(*given, **named)
        assert data.valid is not None
        return replace(data, valid=replace(data.valid, images=255 - data.valid.images))

    monkeypatch.setattr("neocog.training.preparing.load", spoiled)
    second, _ = heard_choice(base, 1e-6)
    assert first.figures == second.figures and first.recipe == second.recipe


def test_a_class_of_one_image_is_no_obstacle(base: Recipe) -> None:
    folder = Path(base.data.source)
    for file in sorted((folder / "class1").iterdir())[2:]:
        file.unlink()
    choice, heard = heard_choice(base, 1e-6)
    assert choice.recipe.stages()[0].train.optimizer == "logistic-regression"
    assert any("cross-validation" in text for text in heard)


def test_a_run_keeps_what_was_measured_and_a_fresh_run_of_its_recipe_is_the_same(base: Recipe, tmp_path: Path) -> None:
    source, weights = base.data.source, base.model.pretrained
    named: dict[str, Any] = {"model": NETWORK, "pretrained": weights, "minutes": 1e-6, "threads": 1, "progress": False}
    run = neocog.train(source, out=tmp_path / "run", **named)
    stored = json.loads((run.path / "choice.json").read_text(encoding="utf-8"))
    assert run.metrics["choice"] == stored and stored["cross_validation"]["chosen"] == "extraction"
    assert run.metrics["validation_chooses"] is False
    again = neocog.train(run.recipe, out=tmp_path / "again", progress=False)
    for name in ("history.csv", "recipe.toml"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()
    predicted = [run.classifier().predict(path).label for path in sorted(Path(source).glob("*/*.png"))]  # type: ignore[union-attr]
    assert predicted == [again.classifier().predict(path).label for path in sorted(Path(source).glob("*/*.png"))]  # type: ignore[union-attr]


def test_minutes_with_a_recipe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="minutes is the time for choosing"):
        neocog.train("digits", recipe="digits", minutes=1, out=tmp_path / "run", progress=False)


def test_the_difference_of_two_trials_is_paired() -> None:
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    good, worse = labels.copy(), labels.copy()
    worse[0] = 1
    one, other = (Trial(np.zeros((8, 2)), each, labels) for each in (good, worse))
    gain, error = difference(one, other)
    assert gain == pytest.approx(1 / 8) and error == pytest.approx(np.std([1, 0, 0, 0, 0, 0, 0, 0], ddof=1) / 8**0.5)
    assert difference(one, one) == (0.0, 0.0)


def test_fine_tuning_that_is_right_no_more_often_does_not_pay(base: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def same(prepared: Any, parts: Any, *, deadline: float) -> Trial:
        labels = prepared.data.train.labels.numpy()
        wrong = 1 - labels
        return Trial(np.zeros((len(labels), 2)), wrong, labels)

    monkeypatch.setattr(choosing, "try_training", same)
    choice, heard = heard_choice(base, 30)
    assert choice.figures["chosen"] == "extraction" and any("it does not pay" in text for text in heard)


def test_a_cross_validation_that_takes_too_long_is_given_up(base: Recipe) -> None:
    prepared = choosing.prepare(base.model_copy(update={"stage": []}))
    parts = folds(prepared.data.train.labels.numpy())
    with pytest.raises(TooLong) as found:
        try_training(prepared, parts, deadline=time.monotonic() - 1)
    assert found.value.seconds >= 0


def test_trials_leave_the_network_as_it_was(base: Recipe) -> None:
    prepared = choosing.prepare(base.model_copy(update={"stage": []}))
    before = {name: tensor.clone() for name, tensor in prepared.network.state_dict().items()}
    parts = folds(prepared.data.train.labels.numpy(), count=2)
    trial = try_training(prepared, parts, deadline=time.monotonic() + 600)
    assert all((tensor == before[name]).all() for name, tensor in prepared.network.state_dict().items())
    assert trial.probabilities.sum(1) == pytest.approx(np.ones(len(trial.labels)))
    low, high = trial.interval
    assert low <= trial.accuracy <= high


def test_what_is_of_one_group_is_never_on_both_sides_of_a_fold(base: Recipe) -> None:
    grouped = base.with_values({"data.groups": r"^(\d)", "data.validation": 0.3})
    deciding = choosing._Choosing(grouped, time.monotonic(), None, lambda text: None)
    names = deciding.prepared.data.train.groups
    parts = deciding._folds()
    assert names is not None and parts is not None
    for train, test in parts:
        assert not {names[row] for row in train} & {names[row] for row in test}


def test_a_class_whose_images_all_show_the_same_is_no_obstacle(base: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    for part, numbers in (("train", range(8)), ("val", range(8, 12))):
        for label in ("class0", "class1"):
            (folder / part / label).mkdir(parents=True)
            for number in numbers:
                source = 0 if part == "train" and label == "class1" else number
                shutil.copy(Path(base.data.source) / label / f"{source}.png", folder / part / label / f"{number}.png")
    choice, heard = heard_choice(base.with_values({"data.source": str(folder)}), 1e-6)
    assert choice.recipe.stages()[0].train.optimizer == "logistic-regression"
    assert any("nothing could be measured by cross-validation" in text for text in heard)


def test_fine_tuning_is_not_tried_where_the_images_of_a_fold_do_not_fit_into_memory(
    base: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "available_memory", lambda: 1000)
    choice, heard = heard_choice(base, 30)
    assert choice.figures["chosen"] == "extraction"
    assert any("do not fit into memory" in text for text in heard)
