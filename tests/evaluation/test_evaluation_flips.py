"""Test-time flips: the mean of the probabilities of an image and of its mirror image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from neocog.classifier import Classifier, Prediction, load
from neocog.cli import app
from neocog.data import load_images
from neocog.errors import RecipeError
from neocog.evaluation.flips import WithFlips


class Columns(nn.Module):
    """Its logits are the brightnesses of the columns, so that an image and its mirror differ."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.sum((1, 2))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


@pytest.mark.parametrize("temperature", [1.0, 2.5, 0.3])
def test_the_softmax_of_its_logits_is_the_mean_of_both_softmaxes(temperature: float) -> None:
    images = torch.randn(6, 1, 2, 5, generator=torch.Generator().manual_seed(0))
    found = softmax(WithFlips(Columns(), temperature)(images).numpy() / temperature)
    logits = images.double().sum((1, 2)).numpy()
    expected = (softmax(logits / temperature) + softmax(logits[:, ::-1] / temperature)) / 2
    # the network itself adds in float32
    assert np.allclose(found, expected, atol=1e-6)


def test_an_answer_without_doubt_on_one_side_stays_finite() -> None:
    images = torch.zeros(1, 1, 1, 3)
    images[..., 0] = 2000.0
    logits = WithFlips(Columns())(images)
    assert bool(logits.isfinite().all())
    assert torch.allclose(logits.exp(), torch.tensor([[0.5, 0.0, 0.5]], dtype=torch.float64))


@pytest.fixture(scope="module")
def classifier(unbroken: Path) -> Classifier:
    plain = load(unbroken)
    return plain.with_temperature(1.7)


def test_prediction_stream_probabilities_and_evaluation_agree(classifier: Classifier, tmp_path: Path) -> None:
    images = load_images("digits", classifier.geometry, classifier.classes).subset(range(40))
    plain = classifier.probabilities(images.images).double()
    mirrored = classifier.probabilities(images.images.flip(3)).double()
    expected = (plain + mirrored) / 2
    assert not torch.allclose(plain, mirrored, atol=0.01)
    assert torch.allclose(classifier.probabilities(images.images, flips=True).double(), expected, atol=1e-5)
    evaluation = classifier.evaluate(images, flips=True)
    assert np.allclose(evaluation.probabilities, expected.numpy(), atol=1e-5)
    assert evaluation.accuracy == float((expected.argmax(1) == images.labels).double().mean())
    predicted = classifier.predict(images.images, flips=True)
    assert isinstance(predicted, list)
    assert [classifier.classes.index(found.label) for found in predicted] == expected.argmax(1).tolist()
    assert np.allclose([found.probability for found in predicted], expected.amax(1).numpy(), atol=1e-5)
    assert {found.flips for found in predicted} == {True}
    again = classifier.predict(images.images)
    assert isinstance(again, list) and {found.flips for found in again} == {False}
    file = tmp_path / "digit.png"
    from PIL import Image

    Image.fromarray(images.images[0, 0].numpy()).save(file)
    [streamed] = classifier.stream([file], flips=True)
    assert isinstance(streamed, Prediction)
    assert replace(streamed, source=None) == replace(classifier.predict(images.images[0], flips=True), source=None)  # type: ignore[type-var]


def test_the_command_says_that_the_answers_are_means(unbroken: Path, tmp_path: Path) -> None:
    expected = load(unbroken).evaluate(flips=True)
    done = CliRunner().invoke(app, ["evaluate", str(unbroken), "--flips"])
    assert done.exit_code == 0, done.output
    first = done.stdout.splitlines()[0]
    assert first.startswith(
        f"digits, test images, means over each image and its mirror image: accuracy {100 * expected.accuracy:.2f} %"
    )
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["evaluate", str(unbroken), "--flips", "--format", "json", "--out", str(page)])
    found = json.loads(done.stdout)
    assert found["flips"] is True and found["accuracy"] == expected.accuracy
    assert "Each answer is the mean over the image and its mirror image." in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--calibrate", "--uncalibrate"])
def test_a_temperature_is_not_fitted_to_means(unbroken: Path, option: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(unbroken), "--flips", option])
    assert isinstance(done.exception, RecipeError) and "Calibrate first" in str(done.exception)
