import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from neocog.errors import DataError
from neocog.evaluation import Evaluation
from neocog.evaluation.calibration import calibrate_bins


def test_the_error_of_a_small_case_is_that_of_pencil_and_paper() -> None:
    # two bins: (0.35, 0.45) half right, gap 0.4 - 0.5; (0.7, 0.8, 0.9) one in three right, gap 0.8 - 1/3
    confidence, right = np.array([0.7, 0.35, 0.8, 0.45, 0.9]), np.array([True, True, False, False, False])
    found = calibrate_bins(confidence, right, bins=2)
    assert found.ece == pytest.approx(2 / 5 * 0.1 + 3 / 5 * (0.8 - 1 / 3))
    assert found.largest_gap == pytest.approx(0.8 - 1 / 3)
    assert [(part.low, part.high, part.count) for part in found.bins] == [(0.0, 0.5, 2), (0.5, 1.0, 3)]
    assert (found.confidence, found.accuracy) == (pytest.approx(0.64), pytest.approx(0.4))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_the_bins_are_those_of_scikit_learn(answers: list[tuple[float, bool]], bins: int) -> None:
    confidence = np.array([value for value, _ in answers])
    right = np.array([good for _, good in answers])
    found = calibrate_bins(confidence, right, bins)
    accuracy, means = calibration_curve(right, confidence, n_bins=bins, pos_label=True)
    full = [part for part in found.bins if part.count]
    assert [part.accuracy for part in full] == pytest.approx(list(accuracy))
    assert [part.confidence for part in full] == pytest.approx(list(means))
    assert sum(part.count for part in found.bins) == len(answers)
    weights = np.array([part.count for part in full]) / len(answers)
    assert found.ece == pytest.approx(float((weights * np.abs(accuracy - means)).sum()))
    assert 0 <= found.ece <= found.largest_gap + 1e-12 <= 1 + 1e-12


def test_each_bin_has_its_upper_end_and_the_first_has_zero() -> None:
    found = calibrate_bins(np.array([0.0, 0.5, 0.5000001, 1.0]), np.ones(4, dtype=bool), bins=2)
    assert [part.count for part in found.bins] == [2, 2]


def test_an_empty_bin_says_nothing() -> None:
    empty, full = calibrate_bins(np.array([0.9]), np.array([True]), bins=2).bins
    assert (empty.count, empty.confidence, empty.accuracy, empty.gap) == (0, None, None, None)
    assert full.gap == pytest.approx(-0.1)


def test_the_confidence_of_an_evaluation_is_that_of_its_answers() -> None:
    found = Evaluation(("a", "b"), np.array([0, 1, 1]), np.log([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])).calibration(5)
    assert [part.count for part in found.bins] == [0, 0, 1, 2, 0]
    assert found.ece == pytest.approx((0.4 + 2 * abs(0.75 - 0.5)) / 3)


def test_what_cannot_be_put_into_bins_is_refused() -> None:
    one = np.ones(1, dtype=bool)
    with pytest.raises(DataError, match="bins = 0"):
        calibrate_bins(np.array([0.5]), one, bins=0)
    with pytest.raises(DataError, match="needs answers"):
        calibrate_bins(np.array([]), np.array([], dtype=bool))
    for value in (1.5, -0.1, np.nan):
        with pytest.raises(DataError, match=r"confidences lie in 0\.\.1"):
            calibrate_bins(np.array([value]), one)
