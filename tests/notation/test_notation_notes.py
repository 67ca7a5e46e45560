"""What notes and errors about sizes say is so, and what they advise works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from neocog.errors import NotationError
from neocog.notation import Conv, Layer, LayerShape, Network, Subsample, parse

from .notation_strategies import pairs, windowed


def only(text: str, shape: Sequence[int], num_classes: int | None = None) -> LayerShape:
    (layer,) = parse(text).shapes(shape, num_classes)
    return layer


@settings(max_examples=200, deadline=None)
@given(windowed(), pairs(1, 30))
def test_what_an_error_or_a_note_proposes_works(layer: Layer, size: tuple[int, int]) -> None:
    shape = (1, *size)
    try:
        note = Network((layer,)).shapes(shape)[0].note
    except NotationError as error:
        better = str(error).splitlines()[1]
        if better.startswith("'"):
            parse(better.split("'")[1]).shapes(shape)
        else:
            assert "Leave this" in better or "smaller kernel" in better
        return
    unseen = unseen_by_definition(layer, shape)
    remainder = any(window.remainder for window in layer.windows(shape))
    assert (note is None) == (not remainder and unseen == [[], []])
    assert note is None or ("not seen" in note) == (unseen != [[], []])
    change = re.search(r"^ *'(.*)' gives (.*)", note or "", re.MULTILINE)
    if change:
        improved = only(f"{layer} {change[1]}" if change[1].startswith("pad") else change[1], shape)
        assert unseen_by_definition(improved.layer, shape) == [[], []]
        assert change[2].endswith("nothing left out" if improved.note is None else "only padding left out")
        assert improved.layer.output_reason(shape, channels=False) in change[2]  # type: ignore[attr-defined]
    elif note and not note.endswith("only padding is left out"):
        # A window whose taps stand apart can have gaps at any stride; subsampling cannot move by less than its window.
        assert isinstance(layer, Subsample | Conv)


def unseen_by_definition(layer: Layer, shape: tuple[int, int, int]) -> list[list[int]]:
    """The rows and the columns that no tap meets at any position."""
    found = []
    for window in layer.windows(shape):  # type: ignore[attr-defined]
        starts = range(-window.before, -window.before + window.output * window.stride, window.stride)
        met = {start + tap * window.dilation for start in starts for tap in range(window.kernel)}
        found.append([line for line in range(window.size) if line not in met])
    return found


@settings(max_examples=150, deadline=None)
@given(windowed(), pairs(1, 30))
def test_the_lines_that_a_window_does_not_see_are_those_of_the_definition(layer: Layer, size: tuple[int, int]) -> None:
    shape = (1, *size)
    try:
        layer.output_shape(shape)
    except NotationError:
        assume(False)
    windows = layer.windows(shape)  # type: ignore[attr-defined]
    unseen = unseen_by_definition(layer, shape)
    assert [window.first_unseen(100) for window in windows] == unseen
    assert [window.gaps + window.unseen for window in windows] == list(map(len, unseen))


@pytest.mark.parametrize(
    ("text", "size", "says"),
    [
        (
            "maxpool 3 stride 5",
            (14, 14),
            "(14 - 3 + 2*0) / 5 + 1 = 3.2, so 3x3; not seen: 5 of 14 rows and columns (3, 4, 8, 9, 13)\n"
            "      the stride of 5 skips 5 - 3 = 2 lines after each window of 3\n"
            "      'maxpool 3 pad 1' gives (14 - 3 + 2*1) / 3 + 1 = 5.33, so 5x5 with only padding left out",
        ),
        (
            "maxpool 2 stride 3",
            (5, 5),
            "so 2x2; not seen: 1 of 5 rows and columns (2)\n      the stride of 3 skips 3 - 2",
        ),
        ("conv 4 2x3 stride 3", (5, 6), "2 wide, so 2x2; not seen: 1 of 5 rows (2)\n      down, the stride of 3 skips"),
        (
            "conv 4 3x3 stride 2 dilation 2",
            (9, 9),
            "4 of 9 rows and columns (1, 3, 5, 7)\n      the 3 taps, 2 apart, stand",
        ),
        ("conv 4 1x1 stride 2", (64, 64), "32 of 64 rows and columns (1, 3, 5, 7, 9, 11, …)"),
        (
            "conv 4 2x2 dilation 4",
            (5, 5),
            "3 of 5 rows and columns (1, 2, 3)\n      the 2 taps, 4 apart, stand at one pos",
        ),
    ],
)
def test_a_note_names_the_lines_between_the_windows(text: str, size: tuple[int, int], says: str) -> None:
    assert says in (only(text, (1, *size)).note or "")


@pytest.mark.parametrize(
    "text", ["conv 4 3x3 stride 3", "conv 4 3x3 dilation 3", "conv 4 3x3 stride 2 dilation 3 pad 3"]
)
def test_gaps_that_other_positions_fill_are_not_told(text: str) -> None:
    note = only(text, (1, 15, 15)).note
    assert note is None or note.endswith("only padding is left out")


def test_a_shortcut_has_no_note_of_its_own() -> None:
    # What it skips its body sees, and a shortcut of another size would not fit.
    layers = parse("residual(conv 4 3x3 stride 2 pad 1 ; conv 4 1x1 stride 2)").shapes((4, 9, 9))
    assert [layer.note for layer in layers] == [None, None]
    assert "not seen" in (only("conv 4 1x1 stride 2", (4, 9, 9)).note or "")


@pytest.mark.parametrize("inputs", [1, 3, 4, 6])
@pytest.mark.parametrize("channels", [1, 4, 10])
@pytest.mark.parametrize("groups", [1, 2, 3, 7])
def test_what_is_advised_for_groups_works_on_that_input(inputs: int, channels: int, groups: int) -> None:
    conv, shape = Conv(channels, (3, 3)), (inputs, 8, 8)
    try:
        fitting = conv.in_groups(groups, shape)
    except NotationError as error:
        advised = parse(re.findall(r"^'(.*)' works\.$", str(error), re.MULTILINE)[0])
        assert advised.shapes(shape)[0].output_shape[1:] == (6, 6)
    else:
        assert fitting == replace(conv, groups=groups)
        assert channels % groups == inputs % groups == 0


def test_the_note_about_a_remainder_reads_as_documented() -> None:
    assert only("conv 8 3x3 stride 3", (1, 7, 7)).note == (
        "note: conv 8 3x3 stride 3 on 7x7: (7 - 3 + 2*0) / 3 + 1 = 2.33, so 2x2; "
        "the last row and column are not seen\n"
        "      'pad 1' gives (7 - 3 + 2*1) / 3 + 1 = 3, so 3x3 with nothing left out"
    )
    assert "the last 2 rows are not seen" in (only("maxpool 3", (1, 11, 9)).note or "")
    assert "the last row and the last 2 columns are not seen" in (only("maxpool 3", (1, 10, 11)).note or "")
    assert (only("conv 8 3x3 stride 2 pad 1", (1, 8, 8)).note or "").endswith("only padding is left out")
