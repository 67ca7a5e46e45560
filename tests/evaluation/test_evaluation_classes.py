import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from neocog.evaluation import ClassFigures, Evaluation

CLASSES = ("a", "b", "c", "d")


def by_hand(labels: np.ndarray, said: np.ndarray, scores: np.ndarray, number: int) -> ClassFigures:
    """The figures of one class as their definitions read."""
    mine, answered = labels == number, said == number
    hit = int((mine & answered).sum())
    others = scores[~mine, number]
    pairs = [(score > others).sum() + 0.5 * (score == others).sum() for score in scores[mine, number]]
    return ClassFigures(
        CLASSES[number],
        int(mine.sum()),
        hit,
        hit / answered.sum() if answered.any() else None,
        hit / mine.sum() if mine.any() else None,
        2 * hit / (mine.sum() + answered.sum()) if mine.any() or answered.any() else None,
        sum(pairs) / (mine.sum() * len(others)) if mine.any() and len(others) else None,
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.permutations(range(4))), min_size=1, max_size=30))
def test_the_figures_of_a_class_are_those_of_their_definitions(answers: list[tuple[int, list[int]]]) -> None:
    labels = np.array([label for label, _ in answers])
    found = Evaluation(CLASSES, labels, np.array([ranks for _, ranks in answers], dtype=np.float64))
    for number, figures in enumerate(found.per_class()):
        expected = by_hand(labels, found.predicted, found.probabilities, number)
        assert figures.figures() == pytest.approx(expected.figures(), nan_ok=False)


@given(st.lists(st.tuples(st.integers(0, 3), st.permutations(range(4))), min_size=1, max_size=30))
def test_macro_means_are_over_the_classes_that_have_images(answers: list[tuple[int, list[int]]]) -> None:
    labels = np.array([label for label, _ in answers])
    found = Evaluation(CLASSES, labels, np.array([ranks for _, ranks in answers], dtype=np.float64))
    macro = found.macro()
    present = np.unique(labels)
    assert macro.recall == pytest.approx(recall_score(labels, found.predicted, labels=present, average="macro"))
    assert macro.precision == pytest.approx(
        precision_score(labels, found.predicted, labels=present, average="macro", zero_division=0)
    )
    assert (macro.auc is None) == (len(present) == 1)


def test_a_class_that_is_never_answered_has_no_precision_but_counts_as_zero() -> None:
    found = Evaluation(("a", "b"), np.array([0, 0, 1]), np.array([[2.0, 0.0], [1.0, 0.0], [3.0, 0.0]]))
    one, other = found.per_class()
    assert (one.precision, other.precision) == (pytest.approx(2 / 3), None)
    assert (other.recall, other.f1, other.auc) == (0.0, 0.0, 0.0)
    assert found.macro().precision == pytest.approx(1 / 3)


def test_a_class_without_images_has_no_recall_and_no_area() -> None:
    found = Evaluation(("a", "b", "c"), np.array([0, 1]), np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0]]))
    missing = found.per_class()[2]
    assert (missing.images, missing.precision, missing.recall, missing.auc) == (0, 0.0, None, None)
    assert found.macro().recall == 0.5
