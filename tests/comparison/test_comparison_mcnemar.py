import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from neocog.comparison import holm, mcnemar
from neocog.comparison.mcnemar import EXACT_BELOW, from_counts
from neocog.errors import DataError


def test_the_two_models_of_raschka_2018() -> None:
    # Model Evaluation, Model Selection, and Algorithm Selection in Machine Learning, section 4.5, scenario B:
    # of 10,000 images 25 are right by the first model alone and 15 by the second alone.
    found = from_counts(25, 15)
    assert found.statistic == pytest.approx(2.025)
    assert found.p == pytest.approx(0.154728923485, rel=1e-9)
    assert not found.exact


@given(st.integers(0, 500), st.integers(0, 500))
def test_it_follows_its_definition(first: int, second: int) -> None:
    found, total = from_counts(first, second), first + second
    assert found.exact == (total < EXACT_BELOW)
    if found.exact:
        tail = sum(math.comb(total, count) for count in range(min(first, second) + 1)) / 2**total
        assert found.p == pytest.approx(min(1.0, 2 * tail)) and found.statistic is None
    else:
        # the square of a normal deviate has one degree of freedom
        corrected = max(abs(first - second) - 1, 0) / math.sqrt(total)
        assert found.statistic == pytest.approx(corrected**2)
        assert found.p == pytest.approx(math.erfc(corrected / math.sqrt(2)))
        assert found.p == pytest.approx(chi2.sf(corrected**2, 1))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_only_images_that_one_of_them_has_right_count(answers: list[tuple[bool, bool]]) -> None:
    first, second = (np.array([pair[place] for pair in answers], dtype=bool) for place in (0, 1))
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (answers.count((True, False)), answers.count((False, True)))
    turned = mcnemar(second, first)
    assert (turned.p, turned.first_only) == (found.p, found.second_only)


def test_equally_many_on_both_sides_are_no_difference() -> None:
    assert [from_counts(count, count).p for count in (0, 5, 400)] == [1.0, 1.0, 1.0]


def test_answers_to_other_images_are_refused() -> None:
    with pytest.raises(DataError, match="the same images"):
        mcnemar(np.ones(3, dtype=bool), np.ones(4, dtype=bool))


def test_the_correction_of_holm_in_a_case_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, each at least the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9, 0.8]) == [1.0, 1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_the_correction_rejects_what_the_stepwise_procedure_rejects(values: list[float], limit: float) -> None:
    rejected = set[int]()
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] * (len(values) - rank) > limit:
            break
        rejected.add(place)
    assert {place for place, value in enumerate(holm(values)) if value <= limit} == rejected
