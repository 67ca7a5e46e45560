"""The page of the textbook prints what it shows and names everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neocog import textbook
from test_docs import ROOT, text_of
from test_lessons import run_page

PAGE = ROOT / "docs" / "textbook.md"


def test_what_the_page_shows_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(PAGE)


def test_the_page_names_every_operation_and_its_settings() -> None:
    named = set(re.findall(r"`(\w+)", text_of(PAGE)))
    public = {name for name in textbook.__all__ if not name.endswith("_backward")}
    assert public <= named
    assert {name.removesuffix("_backward") for name in textbook.__all__} <= named
