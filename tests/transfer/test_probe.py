"""Folds, heads and their figures, against scikit-learn's own answers and counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from neocog.errors import DataError
from neocog.transfer.folds import stratified_part
from neocog.transfer.head import chosen_penalty
from neocog.transfer.probe import cross_validate, fit_head, folds, interval, nearest_neighbours


def clouds(counts: list[int], features: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normal clouds of points, one a class, in float32."""
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    middles = distance * draws.normal(size=(len(counts), features))
    return (middles[labels] + draws.normal(size=(len(labels), features))).astype(np.float32), labels


labelled = st.lists(st.integers(2, 12), min_size=2, max_size=5).map(
    lambda counts: np.repeat(range(len(counts)), counts)
)


@settings(max_examples=40, deadline=None)
@given(labels=labelled, count=st.integers(2, 7), seed=st.integers(0, 5))
def test_each_row_is_tested_once_and_every_fold_has_its_share_of_each_class(
    labels: np.ndarray, count: int, seed: int
) -> None:
    parts = folds(labels, None, count, seed)
    assert len(parts) == min(count, np.bincount(labels).min())
    assert sorted(np.concatenate([test for _, test in parts]).tolist()) == list(range(len(labels)))
    for train, test in parts:
        assert not set(train) & set(test) and len(train) + len(test) == len(labels)
        for label, total in enumerate(np.bincount(labels)):
            assert abs((labels[test] == label).sum() - total / len(parts)) < 1


@settings(max_examples=40, deadline=None)
@given(labels=labelled, draws=st.data(), seed=st.integers(0, 3))
def test_a_group_is_never_on_both_sides(labels: np.ndarray, draws: st.DataObject, seed: int) -> None:
    groups = draws.draw(st.lists(st.integers(0, 9), min_size=len(labels), max_size=len(labels)))
    if len(set(groups)) < 2:
        with pytest.raises(DataError, match="two groups"):
            folds(labels, groups, 5, seed)
        return
    parts = folds(labels, groups, 5, seed)
    assert sorted(np.concatenate([test for _, test in parts]).tolist()) == list(range(len(labels)))
    for train, test in parts:
        assert not {groups[row] for row in train} & {groups[row] for row in test}
        assert len(test)


def test_groups_of_one_are_divided_as_evenly_as_rows() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 7])
    for _, test in folds(labels, np.arange(87), 5):
        assert np.bincount(labels[test], minlength=3).tolist() in ([10, 6, 1], [10, 6, 2])


def test_a_class_in_several_groups_is_in_every_set_of_training_rows() -> None:
    labels = np.repeat([0, 1], [12, 4])
    groups = ["a", "b", "c"] * 4 + ["d", "d", "d", "e"]
    assert all(set(labels[train]) == {0, 1} for train, _ in folds(labels, groups))


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        ([0, 0, 1], None, "two images of each class; 1 has one"),
        ([], None, "no class has any"),
        ([0, 0, 1, 1], ["a"] * 4, "two groups"),
        ([0, 0, 1, 1], ["a", "b"], "a group for each of 4 images; got 2"),
    ],
)
def test_what_cannot_be_divided_is_refused(labels: list[int], groups: list[str] | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        folds(labels, groups)


@settings(max_examples=40, deadline=None)
@given(total=st.integers(1, 500), share=st.floats(0, 1))
def test_the_interval_is_wilsons(total: int, share: float) -> None:
    right, z = round(share * total), 1.959963984540054
    middle = (right + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * math.sqrt(right * (total - right) / total + z * z / 4)
    assert interval(right, total) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-9)


def test_a_feature_that_hardly_varies_does_not_outweigh_the_others_where_it_does() -> None:
    features, labels = clouds([60, 60], 10, 1.0)
    features[:, 0] = np.where(labels == 1, 1e-4, 0.0) * (np.arange(120) % 7 == 0)
    head = fit_head(features, labels, 2, l2_penalty=10.0)
    before = head.logits(features)
    features[:, 0] = 1.0
    assert np.abs(head.logits(features) - before).max() < 1


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("rows", [20, 150])
@pytest.mark.parametrize("penalty", [0.1, 30.0])
def test_a_head_answers_as_scikit_learn_on_standardised_features(classes: int, rows: int, penalty: float) -> None:
    features, labels = clouds([rows // classes] * classes, 40, 0.3)
    features *= np.float32(10) ** np.linspace(-1, 0.75, 8, dtype=np.float32).repeat(5)
    head = fit_head(features, labels, classes, l2_penalty=penalty)
    scaler = StandardScaler().fit(features.astype(np.float64))
    model = LogisticRegression(C=1 / penalty, tol=1e-9, max_iter=10_000)
    model.fit(scaler.transform(features), labels)
    expected = model.predict_proba(scaler.transform(features))
    assert np.abs(head.probabilities(features) - expected).max() < 2e-3
    assert (head.weight.shape, head.bias.shape, head.weight.dtype) == ((classes, 40), (classes,), np.float32)
    assert np.allclose(head.logits(features), features @ head.weight.T + head.bias)


def test_the_penalty_is_that_of_the_lowest_log_loss_in_cross_validation() -> None:
    features, labels = clouds([30, 30, 30], 60, 0.25)
    losses = {}
    for exponent in np.arange(-2, 6.5, 0.5):
        losses[10.0**exponent] = 0.0
        for train, test in folds(labels):
            scaler = StandardScaler().fit(features)
            model = LogisticRegression(C=10.0**-exponent, max_iter=5_000).fit(
                scaler.transform(features[train]), labels[train]
            )
            found = model.predict_proba(scaler.transform(features[test]))
            losses[10.0**exponent] -= np.log(found[np.arange(len(test)), labels[test]]).sum()
    chosen = fit_head(features, labels, 3).l2_penalty
    assert min(abs(chosen - known) for known in losses) < 1e-6 * chosen
    assert losses[min(losses, key=lambda known: abs(known - chosen))] <= 1.002 * min(losses.values())


def test_the_same_input_gives_the_same_bits() -> None:
    features, labels = clouds([20, 20], 30, 0.3)
    one, other = fit_head(features, labels, 2), fit_head(features, labels, 2)
    assert np.array_equal(one.weight, other.weight) and np.array_equal(one.bias, other.bias)


def test_features_that_do_not_vary_get_no_weight_and_change_no_answer() -> None:
    features, labels = clouds([20, 20], 8, 0.6)
    constant = np.full((40, 3), [0.0, 1 / 3, 1e6], np.float32)
    plain = fit_head(features, labels, 2, l2_penalty=1.0)
    more = fit_head(np.concatenate([features, constant], axis=1), labels, 2, l2_penalty=1.0)
    assert np.abs(more.weight[:, 8:]).max() == 0
    assert np.allclose(more.weight[:, :8], plain.weight, atol=1e-4)


def test_a_class_without_images_is_as_unlikely_as_one_image_in_all() -> None:
    features, labels = clouds([25, 25], 5, 1.0)
    head = fit_head(features, np.where(labels == 1, 2, 0), 4)
    found = head.probabilities(features)
    assert (found[:, [1, 3]] < 0.2).all() and (found[:, [1, 3]] > 0).all()
    assert set(found.argmax(1)) == {0, 2}
    assert not head.weight[[1, 3]].any()


def test_one_image_of_a_class_is_enough_for_a_head() -> None:
    features, labels = clouds([1, 1, 1], 4, 5.0)
    assert (fit_head(features, labels, 3).logits(features).argmax(1) == labels).all()


@pytest.mark.parametrize(
    ("features", "labels", "classes", "words"),
    [
        (np.zeros((4, 2), np.float32), [0, 0, 0, 0], 2, "at least two classes"),
        (np.zeros((4, 2), np.float32), [0, 1, 0, 2], 2, "labels run from 0 to 1"),
        (np.zeros((4, 2), np.float32), [0, 1, 0], 2, r"\(4, 2\) and \(3,\)"),
        (np.zeros((4, 2, 2), np.float32), [0, 1, 0, 1], 2, r"of shape \(images, features\)"),
        (np.zeros((4, 2), np.uint8), [0, 1, 0, 1], 2, "uint8"),
        (np.full((4, 2), np.nan, np.float32), [0, 1, 0, 1], 2, "not finite"),
    ],
)
def test_features_that_cannot_be_used_are_refused(
    features: np.ndarray, labels: list[int], classes: int, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        fit_head(features, labels, classes)


def test_cross_validation_knows_nothing_of_what_it_is_asked() -> None:
    """With random labels and as many features as images, an answer is right by chance alone."""
    draws = np.random.default_rng(3)
    features, labels = draws.normal(size=(300, 100)).astype(np.float32), draws.integers(0, 2, 300)
    found = cross_validate(features, labels, 2)
    assert 0.4 < found.accuracy < 0.6
    head = fit_head(features, labels, 2, l2_penalty=1e-2)
    assert (head.logits(features).argmax(1) == labels).mean() > 0.7


def test_copies_in_groups_cannot_be_looked_up() -> None:
    draws = np.random.default_rng(1)
    features = draws.normal(size=(60, 30)).astype(np.float32).repeat(2, axis=0)
    labels, groups = draws.integers(0, 2, 60).repeat(2), np.arange(60).repeat(2)
    assert nearest_neighbours(features, labels, k=1).accuracy > 0.75
    assert nearest_neighbours(features, labels, k=1, groups=groups).accuracy < 0.7
    assert cross_validate(features, labels, 2, groups=groups).accuracy < 0.7


def test_the_figures_of_cross_validation_belong_together() -> None:
    iris = load_iris()
    features, labels = iris.data.astype(np.float32), iris.target
    found = cross_validate(features, labels, 3, l2_penalty=1.0)
    assert np.allclose(found.probabilities.sum(1), 1)
    assert found.accuracy == (found.predictions == labels).mean() == pytest.approx(np.mean(found.fold_accuracies))
    assert found.interval == interval(int((found.predictions == labels).sum()), 150)
    assert 0.9 < found.accuracy < 1
    again = cross_validate(features, labels, 3, repeats=2, l2_penalty=1.0)
    assert len(again.fold_accuracies) == 10
    assert again.accuracy == pytest.approx(np.mean(again.fold_accuracies))
    assert again.fold_accuracies[:5] == found.fold_accuracies


def test_neighbours_vote_as_scikit_learns_do() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    digits = load_digits()
    features, labels = digits.data[:500].astype(np.float32), digits.target[:500]
    found = nearest_neighbours(features, labels, k=1)
    expected = np.zeros(500, int)
    for train, test in folds(labels):
        expected[test] = (
            KNeighborsClassifier(1, metric="cosine").fit(features[train], labels[train]).predict(features[test])
        )
    assert np.array_equal(found.predictions, expected)
    assert found.interval == interval(int((expected == labels).sum()), 500)


def test_a_tie_goes_to_the_nearer_neighbours() -> None:
    angles = np.radians([0, 10, 60, 65, 3, 62])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = np.array([0, 0, 1, 1, 0, 1])
    groups = ["seen"] * 4 + ["asked"] * 2
    assert nearest_neighbours(features, labels, k=4, groups=groups).predictions[4:].tolist() == [0, 1]


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 4), st.integers(1, 60))
def test_a_head_separates_what_is_far_apart(classes: int, features: int) -> None:
    points, labels = clouds([6] * classes, features, 1.0)
    points[:, 0] = 100 * labels
    head = fit_head(points, labels, classes, l2_penalty=1e-3)
    assert (head.logits(points).argmax(1) == labels).mean() > 0.9


def test_a_few_rows_more_than_choose_the_penalty_are_no_obstacle() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(10_003) % 20
    features = (np.eye(20)[labels][:, :6] + draws.normal(0, 0.5, (len(labels), 6))).astype(np.float32)
    assert chosen_penalty(features, labels) > 0


@pytest.mark.parametrize("most", [4, 7, 30, 60])
def test_a_part_has_two_of_each_class_and_their_shares_of_the_rest(most: int) -> None:
    labels = np.array([0] * 40 + [1] * 10 + [2] * 3)
    rows = stratified_part(labels, most, seed=1)
    counts = np.bincount(labels[rows])
    assert (np.diff(rows) > 0).all() and counts.min() >= 2
    assert np.array_equal(rows, stratified_part(labels, most, seed=1))
    expected = np.minimum([40, 10, 3], np.maximum(2, np.array([40, 10, 3]) * min(1, most / 53)))
    assert counts == pytest.approx(expected, abs=0.5)
