from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from neocog.auditing.findings import KIND, KINDS, Finding, Item, ordered
from neocog.auditing.inspecting import Look
from neocog.auditing.looks import class_sizes, odd_files, other_modes, summary_rows

USUAL = Look(400, 300, b"", False, "JPEG", "RGB")


def found(*looks: Look, names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(kind, name) for these among ten usual ones."""
    everything = [*looks, *([USUAL] * 10)]
    told = [*names, *(f"{place}.jpg" for place in range(len(names), len(everything)))]
    items = [Item(row, name, "a", "train") for row, name in enumerate(told)]
    return [(finding.kind, finding.items[0].name) for finding in odd_files(everything, items)]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"width": 20, "height": 16}, "tiny"),
        ({"width": 9000, "height": 6000}, "huge"),
        ({"width": 300, "height": 1500}, "aspect"),
        ({"flat": True}, "single-colour"),
        ({"animated": True}, "animated"),
        ({"ends_early": True}, "truncated"),
        ({"format": "PNG"}, "suffix"),
    ],
)
def test_each_oddity_is_found_alone(change: dict[str, object], kind: str) -> None:
    assert found(replace(USUAL, **change)) == [(kind, "0.jpg")]  # type: ignore[arg-type]


def test_usual_files_are_not_odd() -> None:
    assert found() == []
    names = ("photo.JPEG", "no_ending", "two_views.jpg", "a.unknown", "bitmap.dib")
    looks = [USUAL, USUAL, replace(USUAL, format="MPO"), USUAL, replace(USUAL, format="BMP")]
    assert found(*looks, names=names) == []


def test_small_pictures_are_odd_only_among_larger_ones() -> None:
    small = replace(USUAL, width=28, height=28)
    assert found(small) == [("tiny", "0.jpg")]
    assert found(*([small] * 30)) == []


def test_modes_and_turned_photographs_are_one_finding_each() -> None:
    looks = [USUAL, replace(USUAL, mode="CMYK"), replace(USUAL, mode="CMYK", turned=True), replace(USUAL, mode="L")]
    items = [Item(row, str(row), "a", "train") for row in range(4)]
    findings = list(other_modes(looks, items))
    assert [(finding.kind, [item.row for item in finding.items]) for finding in findings] == [
        ("mode", [1, 2]),
        ("rotated", [2]),
    ]


def test_small_classes_and_imbalance() -> None:
    findings = ordered(list(class_sizes({"a": 200, "b": 1, "c": 9, "d": 10, "e": 0})))
    assert [(finding.kind, finding.items[0].label) for finding in findings[:2]] == [
        ("small-class", "b"),
        ("small-class", "e"),
    ]
    assert findings[0].reason == "1 image for training: training leaves it out"
    assert [finding.kind for finding in findings] == ["small-class"] * 3 + ["imbalance"]
    assert findings[-1].reason == "a has 200 images for training, b 1: 200 times as many"
    assert list(class_sizes({"a": 90, "b": 10})) == []


def test_the_summary_counts_sizes_shapes_formats_and_modes() -> None:
    looks = [USUAL, USUAL, replace(USUAL, width=300, height=400, mode="L", format="PNG")]
    assert dict(summary_rows(looks)) == {
        "width": "300 to 400, half of them at most 400",
        "height": "300 to 400, half of them at most 300",
        "most often": "400 x 300 (2)",
        "shape": "wide 2, tall 1",
        "format": "JPEG 2, PNG 1",
        "mode": "RGB 2, L 1",
    }
    assert summary_rows([]) == []


def test_findings_stand_in_the_order_of_kinds_the_worst_first() -> None:
    given = [
        Finding("mode", (), ""),
        Finding("label", (), "", 0.2),
        Finding("leak", (), ""),
        Finding("label", (), "", 1),
    ]
    assert [(one.kind, one.score) for one in ordered(given)] == [
        ("leak", 0), ("label", 1), ("label", 0.2), ("mode", 0)
    ]  # fmt: skip
    assert len(KIND) == len(KINDS)
    serious = [kind.serious for kind in KINDS]
    assert serious == sorted(serious, reverse=True)
