"""A temperature is kept with the weights, changes no answer, and goes without a trace."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import neocog as nc
from neocog.calibrating import calibrate, store_temperature
from neocog.data import load as load_data
from neocog.errors import DataError, RunError, WeightsError
from neocog.evaluation import fit_temperature
from neocog.held_out import validation_images
from neocog.metadata import Metadata
from neocog.models import build
from neocog.recipe import Recipe
from neocog.training.checkpoint import save_tensors


@pytest.fixture
def run(unbroken: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unbroken, tmp_path / "run"))


def parts(file: Path) -> tuple[dict[str, bytes], dict[str, object]]:
    """The tensors' bytes and the metadata of a weights file."""
    with safe_open(str(file), framework="np") as content:
        tensors = {name: content.get_tensor(name).tobytes() for name in content.keys()}  # noqa: SIM118  # not a dict
        return tensors, json.loads(content.metadata()["neocog"])


def test_calibrating_changes_the_temperature_in_the_file_and_nothing_else(run: Path) -> None:
    file = run / "best.safetensors"
    others = {path.name: path.read_bytes() for path in run.iterdir() if path != file}
    tensors, plain = parts(file)
    found = calibrate(run)
    after, values = parts(file)
    assert found.path == file and found.note == ""
    assert after == tensors
    assert values == plain | {"temperature": found.fit.value} != plain
    assert {path.name: path.read_bytes() for path in run.iterdir() if path != file} == others


def test_the_temperature_is_that_of_the_validation_images(run: Path) -> None:
    before = nc.load(run)
    found = calibrate(run)
    recipe = nc.Run(run).recipe
    valid = load_data(recipe.data).valid
    assert valid is not None
    with torch.no_grad():
        logits = before.model(valid.images).double().numpy()
    assert found.fit.images == len(valid)
    assert found.fit.value == pytest.approx(fit_temperature(logits, valid.labels.numpy()).value, rel=1e-4)
    # label smoothing makes a network less sure than it is right: sharper answers fit better
    assert found.fit.value < 1
    assert found.fit.nll_after < found.fit.nll_before and found.fit.ece_after < found.fit.ece_before


def test_a_calibrated_classifier_gives_the_same_answers_with_other_probabilities(run: Path) -> None:
    before = nc.load(run)
    images, _ = before.images_to_evaluate()
    plain = before.predict(images.images, top=10)
    calibrate(run)
    after = nc.load(run).predict(images.images, top=10)
    assert isinstance(plain, list) and isinstance(after, list)
    assert [answer.label for answer in plain] == [answer.label for answer in after]
    moved = [abs(one.probability - other.probability) for one, other in zip(plain, after, strict=True)]
    assert np.mean(moved) > 0.01
    one, other = before.evaluate(images), nc.load(run).evaluate(images)
    assert np.array_equal(one.logits, other.logits) and np.array_equal(one.predicted, other.predicted)
    assert other.calibration().ece < one.calibration().ece
    assert other.loss < one.loss


def test_taking_it_back_gives_the_bytes_of_the_training(run: Path) -> None:
    file = run / "best.safetensors"
    trained = file.read_bytes()
    calibrate(run)
    assert file.read_bytes() != trained
    assert store_temperature(run, 1.0) == file
    assert file.read_bytes() == trained
    store_temperature(file, 1.0)
    assert file.read_bytes() == trained


def test_calibrating_twice_is_calibrating_once(run: Path) -> None:
    first = calibrate(run)
    content = first.path.read_bytes()
    assert calibrate(run).fit == first.fit
    assert first.path.read_bytes() == content


def test_in_memory_nothing_is_written(run: Path) -> None:
    content = (run / "best.safetensors").read_bytes()
    classifier = nc.load(run)
    found = classifier.calibrated()
    assert found.metadata.temperature == classifier.fit_temperature().value
    assert classifier.metadata.temperature == 1.0
    assert found.network is classifier.network
    assert found.with_temperature(1.0).metadata == classifier.metadata
    assert (run / "best.safetensors").read_bytes() == content


def test_a_temperature_of_one_changes_no_bit(run: Path) -> None:
    classifier = nc.load(run)
    images, _ = classifier.images_to_evaluate()
    with torch.no_grad():
        expected = torch.softmax(classifier.model(classifier.hardware.images(images.images)), 1)
    assert torch.equal(classifier.probabilities(images.images), expected)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_temperature_is_refused(run: Path, value: float) -> None:
    content = (run / "best.safetensors").read_bytes()
    with pytest.raises(DataError, match="expected a positive number"):
        store_temperature(run, value)
    with pytest.raises(DataError, match="expected a positive number"):
        nc.load(run).with_temperature(value)
    assert (run / "best.safetensors").read_bytes() == content


def test_a_validation_on_the_test_images_is_told(run: Path) -> None:
    classifier = nc.load(run)
    recipe = Recipe.from_text(classifier.metadata.recipe)
    values = {"data.validation": "test"}
    metadata = replace(classifier.metadata, recipe=recipe.with_values(values).text(), figures={})
    images, note = validation_images(metadata)
    data = load_data(recipe.data)
    assert data.test is not None and len(images) == len(data.test)
    assert note.startswith("the recipe validated on the test images")


def weights(path: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "network": "flatten | linear classes", "kind": "notation", "classes": ("a", "b"), "image_size": (4, 4),
        "channels": 1, "resize": "squash", "mean": (0.0,), "std": (1.0,),
    }  # fmt: skip
    metadata = Metadata(**(values | changes))  # type: ignore[arg-type]
    save_tensors(path, build("flatten | linear classes", (1, 4, 4), 2, seed=0).state_dict(), metadata.values())
    return path


def test_weights_that_do_not_know_their_data_cannot_be_calibrated(tmp_path: Path) -> None:
    file = weights(tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="do not say what they were trained on"):
        calibrate(file)
    with pytest.raises(DataError, match="no longer holds the images"):
        calibrate(weights(file, recipe='[data]\nsource = "digits"\n'))
    with pytest.raises(RunError, match="there is no run"):
        calibrate(tmp_path / "missing")


@pytest.mark.parametrize("value", [0, -2.0, "NaN", "hot", None])
def test_a_file_with_no_such_temperature_is_refused(value: object, tmp_path: Path) -> None:
    stored = json.dumps(
        Metadata("n", "name", ("a",), (4, 4), 1, "crop", (0.0,), (1.0,)).values() | {"temperature": value}
    )
    with pytest.raises(WeightsError, match="temperature is missing or of another kind"):
        Metadata.parse(stored, "w")
