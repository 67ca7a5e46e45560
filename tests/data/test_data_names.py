from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.data.names import is_hidden, natural_key, natural_sort, normal


def test_numbers_sort_by_value() -> None:
    assert natural_sort(["img10", "img2", "img1"]) == ["img1", "img2", "img10"]
    assert natural_sort(["10", "9", "a", "1"]) == ["1", "9", "10", "a"]
    assert natural_sort(["b", "B", "a", "A"]) == ["A", "a", "B", "b"]


@given(st.lists(st.text(max_size=8)))
def test_the_order_does_not_depend_on_where_one_starts(names: list[str]) -> None:
    ordered = natural_sort(names)
    assert natural_sort(reversed(names)) == ordered
    assert sorted(ordered) == sorted(names)


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_any_two_numbers_sort_as_numbers(one: int, other: int) -> None:
    assert natural_sort([f"x{one}", f"x{other}"]) == [f"x{number}" for number in sorted((one, other))]


def by_definition(name: str) -> tuple[object, ...]:
    """Text and numbers in turns, numbers by their value; capitals decide only between names otherwise the same."""
    parts = re.split("([0-9]+)", name.casefold())
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name


@given(st.lists(st.text(st.sampled_from("aB-01299.é가"), max_size=8), max_size=8))
def test_natural_order_is_that_of_its_definition(names: list[str]) -> None:
    assert natural_sort(names) == sorted(names, key=by_definition)
    assert sorted(names, key=natural_key) == natural_sort(names)


def test_names_are_kept_in_one_form() -> None:
    assert normal(unicodedata.normalize("NFD", "개미")) == "개미"
    assert normal("caf\udce9") == "caf�"


@pytest.mark.parametrize("name", [".git", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX", "._1.jpg"])
def test_litter_is_hidden(name: str) -> None:
    assert is_hidden(name)
    assert not is_hidden("1.jpg")
