from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from neocog.data.split import split
from neocog.errors import DataError

CLASSES = ("a", "b", "c", "d")
COUNTS = st.lists(st.integers(2, 30), min_size=2, max_size=4)


def labels_of(counts: list[int], seed: int) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.floats(0.05, 0.6), st.integers(0, 2**40))
def test_every_image_is_on_one_side_and_every_class_on_both(counts: list[int], size: float, seed: int) -> None:
    labels = labels_of(counts, seed % 2**32)
    assume(len(labels) - np.ceil(size * len(labels)) >= len(counts))
    train, valid, _ = split(labels, size, seed, classes=CLASSES)
    assert sorted([*train, *valid]) == list(range(len(labels)))
    assert set(labels[train]) == set(labels[valid]) == set(range(len(counts)))
    wished = max(len(counts), int(np.ceil(size * len(labels))))
    assert abs(len(valid) - wished) <= len(counts)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.2, 40]))
def test_where_no_class_is_small_it_is_scikit_learns_split(seed: int, size: float | int) -> None:
    labels = labels_of([50, 60, 70], seed)
    train, valid, notes = split(labels, size, seed, classes=CLASSES)
    expected = train_test_split(np.arange(180), test_size=size, stratify=labels, random_state=seed)
    assert np.array_equal(train, expected[0]) and np.array_equal(valid, expected[1]) and not notes


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.sampled_from([0.1, 0.2, 0.5]))
def test_groups_are_never_torn(seed: int, per_class: int, size: float) -> None:
    draws = np.random.default_rng(seed)
    numbers = np.concatenate([draws.permutation(np.arange(12) % per_class) + per_class * k for k in range(3)])
    labels = np.repeat(np.arange(3), 12)
    groups = [f"g{number}" for number in numbers]
    train, valid, _ = split(labels, size, seed, classes=CLASSES, groups=groups)
    assert sorted([*train, *valid]) == list(range(36))
    assert not {groups[row] for row in train} & {groups[row] for row in valid}
    assert set(labels[train]) == set(labels[valid]) == {0, 1, 2}


def test_a_grouped_split_comes_near_the_wished_size() -> None:
    labels = np.repeat(np.arange(2), 100)
    groups = [f"{label}-{row % 20}" for row, label in enumerate(labels)]
    _, valid, _ = split(labels, 0.2, 0, classes=CLASSES, groups=groups)
    assert Counter(labels[valid]) == {0: 20, 1: 20}


def test_groups_that_cannot_be_divided_are_refused() -> None:
    labels = np.array([0, 0, 1, 1])
    with pytest.raises(DataError, match="a belongs to one group"):
        split(labels, 0.5, 0, classes=CLASSES, groups=["x", "x", "y", "z"])
    # a in x and y, b in x and z: whichever of the three is set aside, a class is missing on one side
    with pytest.raises(DataError, match="no split of 3 groups"):
        split(np.array([0, 0, 1, 1, 2, 2]), 0.5, 0, classes=CLASSES, groups=["x", "y", "x", "z", "y", "z"])
