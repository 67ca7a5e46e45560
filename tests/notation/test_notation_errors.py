"""Every mistake gets the message of tests/golden/notation_errors.txt.

An entry is a line that says what is done, the input behind `> `, and the message:

    [shapes 1x28x28, 10 classes]
    > flatten | linear 12
    linear1: ...
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neocog.errors import NotationError
from neocog.notation import parse, parse_shape
from neocog.notation.hints import foreign

GOLDEN = Path(__file__).parent.parent / "golden" / "notation_errors.txt"
ENTRY = re.compile(
    r"\[(?P<call>parse|shape|shapes (?P<shape>[0-9x]+)(?:, (?P<classes>[0-9]+) classes)?)\]\n"
    r"(?P<source>(?:>.*\n)+)(?P<message>(?:.*\S.*\n)+)"
)
ENTRIES = list(ENTRY.finditer(GOLDEN.read_text(encoding="utf-8")))


def source(entry: re.Match[str]) -> str:
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in entry["source"].splitlines())


def attempt(entry: re.Match[str]) -> None:
    if entry["call"] == "shape":
        parse_shape(source(entry))
    elif entry["call"] == "parse":
        parse(source(entry))
    else:
        parse(source(entry)).shapes(parse_shape(entry["shape"]), entry["classes"] and int(entry["classes"]))


@pytest.mark.parametrize("entry", ENTRIES, ids=[source(entry)[:40] for entry in ENTRIES])
def test_a_mistake_gets_its_message(entry: re.Match[str]) -> None:
    with pytest.raises(NotationError) as caught:
        attempt(entry)
    assert str(caught.value) == entry["message"].rstrip("\n")


def test_the_table_is_read_whole() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    assert len(ENTRIES) == len(re.findall(r"^\[", text, flags=re.MULTILINE)) >= 25


@pytest.mark.parametrize("entry", ENTRIES, ids=[source(entry)[:40] for entry in ENTRIES])
def test_what_a_message_says_works_does_work(entry: re.Match[str]) -> None:
    for proposal in re.findall(r"^'([^'.]+)' (?:works|gives)|for example '([^'.]+)'", entry["message"], re.MULTILINE):
        parse(next(filter(None, proposal)))


@pytest.mark.parametrize(
    ("call", "translation"),
    [
        ("nn.Conv2d(1, 6, 5, padding=2)", "conv 6 5x5 pad 2"),
        ("torch.nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3)", "conv 64 7x7 stride 2 pad 3"),
        ("Conv2d(3, 8, 3, padding='same')", "conv 8 3x3 same"),
        ('Conv2D(32, 3, padding="same")', "conv 32 3x3 same"),
        ("MaxPool2d(2)", "maxpool 2"),
        ("nn.MaxPool2d(3, stride=2, padding=1)", "maxpool 3 stride 2 pad 1"),
        ("MaxPooling2D(2)", "maxpool 2"),
        ("AvgPool2d(2, 2)", "avgpool 2"),
        ("nn.Linear(400, 120)", "linear 120"),
        ("Dense(10)", "linear 10"),
        ("nn.Dropout(p=0.25)", "dropout 0.25"),
        ("BatchNorm2d(6)", "batchnorm"),
        ("nn.ReLU()", "relu"),
        ("Flatten()", "flatten"),
        ("relu()", "relu"),
        ("conv(6, 5)", "conv 6 5x5"),
        ("LSTM(3)", None),
    ],
)
def test_calls_of_other_frameworks_are_translated(call: str, translation: str | None) -> None:
    message = foreign(call)
    if translation is None:
        assert message is None
        return
    assert message is not None and message.endswith(f"is written '{translation}'.")
    assert str(parse(translation)) == translation


def test_a_caret_stays_under_its_word_in_a_long_line() -> None:
    with pytest.raises(NotationError) as caught:
        parse("relu | " * 100 + "rleu | relu")
    first, line, caret = str(caught.value).splitlines()
    assert first.startswith("line 1, column 701: ")
    assert line[caret.index("^") : caret.rindex("^") + 1] == "rleu"
    assert len(line) < 120
