import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from torch import nn

from neocog.data import ImageSet
from neocog.errors import DataError
from neocog.evaluation import Evaluation, measure
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
    return Evaluation(("a", "b"), np.zeros(images, np.int64), np.where(right[:, None], [0.9, 0.1], [0.2, 0.8]), 0.5)


@pytest.mark.parametrize(("correct", "images"), [(0, 5), (5, 5), (81, 263), (990, 1000)])
def test_the_interval_is_that_of_wilson(correct: int, images: int) -> None:
    z, p, n = 1.959963984540054, correct / images, images
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert evaluation(correct, images).interval == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_a_class_without_images_has_its_row_of_zeros() -> None:
    found = Evaluation(CLASSES, np.array([0, 2]), np.array([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4]]), 1.0)
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_the_surest_mistakes_come_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.2, 0.8]])
    found = Evaluation(("a", "b"), np.array([0, 0, 0, 1, 0]), probabilities, 1.0)
    assert found.mistakes(9).tolist() == [2, 4, 1]
    assert found.mistakes(2).tolist() == [2, 4]
    assert evaluation(3, 3).mistakes(5).tolist() == []


def test_its_figures_as_plain_numbers() -> None:
    figures = evaluation(3, 4).figures()
    assert figures | {"interval95": None} == {
        "images": 4, "correct": 3, "accuracy": 0.75, "interval95": None, "loss": 0.5
    }  # fmt: skip
    assert [type(value) for value in figures.values()] == [int, int, float, list, float]


def test_nothing_to_measure_is_refused(pictures: ImageSet, model: ScaledNetwork) -> None:
    with pytest.raises(DataError, match="not a single image"):
        measure(model, pictures.subset([]), CPU)
