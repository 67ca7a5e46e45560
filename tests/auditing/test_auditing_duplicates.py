from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.auditing.duplicates import exact_findings, exact_groups, joined, near_findings
from neocog.auditing.findings import Item
from neocog.auditing.near import Pair
from neocog.data.source import Part


def items(*told: tuple[str, Part]) -> list[Item]:
    return [Item(row + 10, f"{row}.png", label, part) for row, (label, part) in enumerate(told)]


@given(st.lists(st.integers(0, 5), max_size=20))
def test_groups_are_the_places_of_equal_digests(digests: list[int]) -> None:
    found = exact_groups(digests)
    expected = {tuple(place for place, other in enumerate(digests) if other == value) for value in digests}
    assert set(found) == {group for group in expected if len(group) > 1}
    assert [group[0] for group in found] == sorted(group[0] for group in found)


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=15))
def test_joined_names_what_pairs_connect(pairs: list[tuple[int, int]]) -> None:
    reach = [{place} for place in range(12)]
    for _ in range(12):
        for one, other in pairs:
            both = reach[one] | reach[other]
            for place in both:
                reach[place] = reach[place] | both
    assert joined(12, pairs) == [min(group) for group in reach]


CASES = [
    # copies, what it is, rows (from 10) that are better left out
    ([("a", "train"), ("a", "train"), ("a", "train")], "duplicate", (11, 12)),
    ([("a", "test"), ("a", "test")], "duplicate", ()),
    ([("a", "train"), ("a", "test")], "leak", (10,)),
    ([("a", "train"), ("a", "train"), ("a", "valid")], "leak", (10, 11)),
    ([("a", "valid"), ("a", "test")], "leak", ()),
    ([("a", "train"), ("b", "train")], "conflict", (10, 11)),
    ([("a", "train"), ("b", "test")], "conflict", (10,)),
    ([("a", "test"), ("b", "test")], "conflict", ()),
]


@pytest.mark.parametrize(("told", "kind", "left_out"), CASES)
def test_what_copies_mean_and_which_of_them_to_leave_out(
    told: list[tuple[str, Part]], kind: str, left_out: tuple[int, ...]
) -> None:
    members = items(*told)
    (found,) = exact_findings([tuple(range(len(told)))], members)
    assert (found.kind, found.leave_out, found.items) == (kind, left_out, tuple(members))


def test_near_copies_are_left_out_only_where_they_leak() -> None:
    members = items(("a", "train"), ("a", "test"), ("a", "train"), ("a", "train"), ("a", "train"), ("b", "train"))
    pairs = [Pair(0, 1, "first", 0.5), Pair(1, 2, "second", 0.9), Pair(3, 4, "third", 0.8)]
    leak, plain = near_findings(pairs, members)
    assert (leak.kind, leak.leave_out, leak.score) == ("near-leak", (10, 12), 0.9)
    assert leak.reason == "second; in the training and test images; 3 files"
    assert (plain.kind, plain.leave_out) == ("near-duplicate", ())
    (conflict,) = near_findings([Pair(4, 5, "fourth", 0.8)], members)
    assert (conflict.kind, conflict.leave_out) == ("near-conflict", ())
    assert conflict.reason == "fourth; labelled a and b"
