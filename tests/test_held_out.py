"""Which images are a classifier's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from neocog.held_out import is_own
from neocog.recipe import Recipe


def recipe(source: str) -> Recipe:
    return Recipe.from_text(f"[data]\nsource = {source!r}\n", source="a test")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is called as a data set is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    return tmp_path


def test_a_name_is_the_data_set_of_that_name_in_capitals_or_not() -> None:
    for name in (None, "digits", "Digits", "DIGITS"):
        assert is_own(recipe("digits"), name)
    assert not is_own(recipe("digits"), "mnist")


def test_a_folder_that_is_called_as_a_data_set_is_another_source(folder: Path) -> None:
    own = recipe(str(folder / "digits"))
    assert not is_own(own, "digits")
    assert not is_own(recipe("digits"), "./digits/../digits/.")
    for path in ("../" + folder.name + "/digits", folder / "digits", None):
        assert is_own(own, path)
