from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neocog.auditing.label_errors import confident_learning


def by_the_book(probabilities: np.ndarray, labels: np.ndarray) -> tuple[dict[int, int], np.ndarray]:
    """The definition written out: suspected rows with their confident class, and the confident joint."""
    classes = probabilities.shape[1]
    thresholds = {}
    for label in range(classes):
        members = [row for row in range(len(labels)) if labels[row] == label]
        thresholds[label] = (
            sum(probabilities[row, label] for row in members) / len(members) if members else float("inf")
        )
    joint, suspects = np.zeros((classes, classes), int), {}
    for row, given_label in enumerate(labels):
        above = [label for label in range(classes) if probabilities[row, label] >= thresholds[label]]
        if not above:
            continue
        best = max(above, key=lambda label: probabilities[row, label])
        joint[given_label, best] += 1
        if best != given_label and probabilities[row, best] == probabilities[row].max():
            suspects[row] = best
    return suspects, joint


def test_a_worked_example() -> None:
    # thresholds: class 0 (0.9 + 0.8 + 0.1) / 3 = 0.6, class 1 (0.7 + 0.9 + 0.35) / 3 = 0.65
    first = np.array([0.9, 0.8, 0.1, 0.3, 0.1, 0.65])
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = confident_learning(np.stack([first, 1 - first], 1), labels)
    np.testing.assert_allclose(found.thresholds, [0.6, 0.65])
    assert found.rows.tolist() == [2, 5]
    assert found.suggested.tolist() == [1, 0]
    np.testing.assert_allclose(found.margin, [-0.8, -0.3])
    assert found.joint.tolist() == [[2, 1], [1, 2]]


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_it_is_what_the_definition_says(classes: int, count: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    probabilities = draws.dirichlet(np.full(classes, 0.5), count)
    labels = draws.integers(0, classes, count)
    found = confident_learning(probabilities, labels)
    suspects, joint = by_the_book(probabilities, labels)
    assert dict(zip(found.rows.tolist(), found.suggested.tolist(), strict=True)) == suspects
    np.testing.assert_array_equal(found.joint, joint)
    assert (np.diff(found.margin) >= 0).all()
    assert (found.margin < 0).all()
