from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from neocog.errors import NeocogError
from neocog.textbook import cross_entropy, cross_entropy_backward, one_hot

from .cases import SEEDS, SOME, close, gradients


@SOME
@given(seed=SEEDS)
def test_cross_entropy_and_its_gradient_are_pytorchs_for_labels_and_for_shares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels, shares = 5 * rng.normal(size=(4, 3)), rng.integers(0, 3, 4), rng.random((4, 3))
    for targets in (labels, shares):
        expected, [by_logits] = gradients(
            lambda logits, targets=targets: F.cross_entropy(logits, torch.tensor(targets)), [logits], np.float64(2.5)
        )
        close(cross_entropy(logits, targets), expected)
        close(cross_entropy_backward(2.5, logits, targets), by_logits)


def test_one_hot_targets_are_labels() -> None:
    assert one_hot([2, 0], 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    logits = [[0.5, -1.0, 2.0], [3.0, 0.0, 0.0]]
    assert cross_entropy(logits, one_hot([2, 0], 3)) == cross_entropy(logits, [2, 0])


def test_equal_logits_give_the_logarithm_of_the_number_of_classes() -> None:
    assert cross_entropy(np.zeros((5, 10)), [0, 1, 2, 3, 4]) == pytest.approx(math.log(10), abs=1e-15)


def test_huge_logits_give_finite_losses() -> None:
    assert cross_entropy([[2000.0, 0.0]], [1]) == 2000.0
    assert cross_entropy([[2000.0, 0.0]], [0]) == 0.0


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        (np.zeros((2, 3)), [0, 3], "whole numbers from 0 to 2"),
        (np.zeros((2, 3)), [-1, 0], "whole numbers from 0 to 2"),
        (np.zeros((2, 3)), [0.0, 1.0], "whole numbers from 0 to 2"),
        (np.zeros((2, 3)), [0, 1, 2], r"logits \(2, 3\) need targets of the same shape, or 2 labels; got \(3,\)"),
        (np.zeros(3), [0], r"\(images, classes\), at least one of each; not \(3,\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"at least one of each; not \(0, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(logits: Any, targets: Any, message: str) -> None:
    with pytest.raises(NeocogError, match=message):
        cross_entropy(logits, targets)
    with pytest.raises(NeocogError, match=message):
        cross_entropy_backward(1.0, logits, targets)
