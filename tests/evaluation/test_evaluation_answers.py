import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from torch import nn

from neocog.data import ImageSet
from neocog.errors import DataError
from neocog.evaluation import Evaluation, measure
from neocog.evaluation.measuring import milliseconds_alone
from neocog.models import ScaledNetwork, Scaling
from neocog.training.hardware import Hardware

CPU = Hardware(torch.device("cpu"), False, False, 1)
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def pictures() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (700, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return ImageSet(images, torch.randint(0, 3, (700,), generator=generator), CLASSES)


@pytest.fixture(scope="module")
def model() -> ScaledNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ScaledNetwork(Scaling(), nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3)))


def test_its_figures_are_those_of_scikit_learn(pictures: ImageSet, model: ScaledNetwork) -> None:
    found = measure(model, pictures, CPU)
    labels = pictures.labels.numpy()
    with torch.no_grad():
        expected = torch.softmax(model(pictures.images).double(), 1).numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)
    assert found.accuracy == accuracy_score(labels, expected.argmax(1))
    assert found.loss == pytest.approx(log_loss(labels, expected), rel=1e-6)
    assert np.array_equal(found.confusion, confusion_matrix(labels, expected.argmax(1)))
    assert found.confusion.sum() == found.images == 700
    assert np.trace(found.confusion) == found.correct == round(found.accuracy * 700)


def evaluation(correct: int, images: int) -> Evaluation:
    right = np.arange(images) < correct
    return Evaluation(("a", "b"), np.zeros(images, np.int64), np.log(np.where(right[:, None], [0.9, 0.1], [0.2, 0.8])))


@pytest.mark.parametrize(("correct", "images"), [(0, 5), (5, 5), (81, 263), (990, 1000)])
def test_the_interval_is_that_of_wilson(correct: int, images: int) -> None:
    z, p, n = 1.959963984540054, correct / images, images
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert evaluation(correct, images).interval == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_a_class_without_images_has_its_row_of_zeros() -> None:
    found = Evaluation(CLASSES, np.array([0, 2]), np.log([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4]]))
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.filterwarnings("error")
def test_a_single_class_has_every_figure_but_those_that_need_two() -> None:
    found = Evaluation(("a",), np.zeros(4, np.int64), np.zeros((4, 1))).all_figures()
    assert found["confusion"] == [[4]] and found["accuracy"] == 1 and found["loss"] == 0
    assert found["macro"] == {"precision": 1, "recall": 1, "f1": 1, "auc": None}


def test_the_surest_mistakes_come_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.2, 0.8]])
    found = Evaluation(("a", "b"), np.array([0, 0, 0, 1, 0]), np.log(probabilities))
    assert found.mistakes(9).tolist() == [2, 4, 1]
    assert found.mistakes(2).tolist() == [2, 4]
    assert evaluation(3, 3).mistakes(5).tolist() == []


def test_its_figures_as_plain_numbers() -> None:
    figures = evaluation(3, 4).figures()
    loss = pytest.approx(-(3 * np.log(0.9) + np.log(0.2)) / 4)
    assert figures | {"interval95": None} == {
        "images": 4, "correct": 3, "accuracy": 0.75, "interval95": None, "loss": loss
    }  # fmt: skip
    assert [type(value) for value in figures.values()] == [int, int, float, list, float]


def test_nothing_to_measure_is_refused(pictures: ImageSet, model: ScaledNetwork) -> None:
    with pytest.raises(DataError, match="not a single image"):
        measure(model, pictures.subset([]), CPU)


def test_a_temperature_divides_the_logits_and_changes_no_answer(pictures: ImageSet, model: ScaledNetwork) -> None:
    plain, cold = measure(model, pictures, CPU), measure(model, pictures, CPU, temperature=0.25)
    raised = np.exp(plain.logits * 4)
    np.testing.assert_allclose(cold.probabilities, raised / raised.sum(1, keepdims=True), rtol=1e-9)
    assert cold.loss == pytest.approx(log_loss(plain.labels, cold.probabilities), rel=1e-6)
    assert np.array_equal(cold.predicted, plain.predicted)
    assert np.array_equal(cold.logits, plain.logits)


def test_losses_are_the_logarithms_of_the_true_probabilities(pictures: ImageSet, model: ScaledNetwork) -> None:
    found = measure(model, pictures, CPU)
    expected = -np.log(found.probabilities[np.arange(700), found.labels])
    np.testing.assert_allclose(found.losses, expected, rtol=1e-9)
    assert found.loss == pytest.approx(expected.mean())
    order = found.top_losses(700)
    assert sorted(order) == list(range(700))
    assert (np.diff(found.losses[order]) <= 0).all()
    assert found.top_losses(3).tolist() == order[:3].tolist()


def test_the_largest_losses_have_unsure_right_answers_among_them() -> None:
    found = Evaluation(("a", "b"), np.array([0, 0, 1]), np.log([[0.9, 0.1], [0.6, 0.4], [0.9, 0.1]]))
    assert found.top_losses(2).tolist() == [2, 1]
    assert found.wrong_by_loss().tolist() == [2]
    assert found.mistakes(2).tolist() == [2]


def test_what_is_confused_most_often_comes_first() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    said = np.array([1, 1, 2, 0, 1, 2])
    found = Evaluation(CLASSES, labels, np.eye(3)[said])
    assert found.confusions(9) == [("a", "b", 2), ("a", "c", 1), ("b", "a", 1)]
    assert found.confusions(1) == [("a", "b", 2)]
    assert evaluation(3, 3).confusions(5) == []


def test_every_figure_goes_through_json(pictures: ImageSet, model: ScaledNetwork) -> None:
    found = measure(model, pictures, CPU).all_figures()
    assert json.loads(json.dumps(found)) == found
    assert {"accuracy", "loss", "macro", "calibration", "classes", "confusion", "speed", "temperature"} <= found.keys()
    assert found["speed"]["images_per_second"] > 0 and found["speed"]["milliseconds_an_image"] is None


def test_one_image_alone_is_timed_and_changes_nothing(pictures: ImageSet, model: ScaledNetwork) -> None:
    before = [weight.clone() for weight in model.parameters()]
    assert milliseconds_alone(model, pictures.subset([3]), CPU) > 0
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"logits of shape \(2, 3\) .* got \(2, 2\)"):
        Evaluation(CLASSES, np.array([0, 1]), np.zeros((2, 2)))
