"""The reference in docs/notation.md says what is so."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from neocog.notation import READERS, parse

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "notation.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
NETWORKS = re.findall(r"^```neocog\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_the_snippets_print_what_they_show() -> None:
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False)
    assert not failed
    assert tried >= 10
    # doctest passes over a snippet without a prompt.
    assert TEXT.count("```python\n>>>") == TEXT.count("```python")


@pytest.mark.parametrize("network", NETWORKS)
def test_the_networks_work_on_an_image(network: str) -> None:
    assert parse(network).shapes((1, 28, 28), num_classes=10)[-1].output_shape == (10,)


def test_every_word_is_in_the_table() -> None:
    table = TEXT.partition("## The words")[2].partition("### Sizes")[0]
    for word in READERS:
        assert re.search(rf"^\|.*`{word}[` ]", table, flags=re.MULTILINE), word
