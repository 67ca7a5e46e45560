"""Letters, not boxes."""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from neocog.report import fonts
from neocog.report.fonts import lettering, shorten, width
from neocog.report.samples import plot_samples

NAMES = {
    "Korean": "고양이", "old Korean": "ᄒᆞᆫ글", "Japanese": "ねこカタカナ漢字", "Chinese": "猫狗汉语龙龍",
    "Thai": "แมวน้ำ", "Arabic": "قطة", "Devanagari": "बिल्ली", "emoji": "🐱🐶😀🦊", "Hebrew": "חתול",
    "Georgian": "კატა", "Amharic": "ድመት", "Greek": "Γάτα", "Russian": "Кошка", "Tamil": "பூனை", "Khmer": "ឆ្មា",
    "mixed": "고양이 cat แมว 🐱",
}  # fmt: skip


def path_of(family: str) -> str:
    return font_manager.findfont(family, fallback_to_default=False)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("with_system_fonts", [True, False])
def test_every_character_has_a_glyph(name: str, with_system_fonts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_system_fonts:
        monkeypatch.setattr(fonts, "_system_fonts", tuple)
    letters = lettering([name])
    charmaps = [FT2Font(path_of(family)).get_charmap() for family in letters.families]
    assert all(any(ord(c) in charmap for charmap in charmaps) for c in fonts._one_line(name) if c != " ")
    assert letters.drawable(name) == fonts._one_line(name)


def test_pictures_draw_all_names_without_a_warning(tmp_path: Path) -> None:
    images = np.zeros((len(NAMES), 1, 8, 8), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_samples(images, list(NAMES.values()), tmp_path / "names.png", title="".join(NAMES.values()))


def test_plain_text_needs_one_font_and_korean_two() -> None:
    assert lettering(["cat"]).families == ("DejaVu Sans",)
    assert lettering(["고양이"]).families == ("DejaVu Sans", "NanumGothic")


def test_matplotlib_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    lettering(["고양이"])
    assert dict(matplotlib.rcParams) == before


def test_what_no_font_has_is_replaced_and_invisible_marks_are_dropped() -> None:
    letters = lettering(["a\ue123b\x07c\U000e0100"])
    assert letters.drawable("a\U0010ff00b") == "a\N{REPLACEMENT CHARACTER}b"
    assert letters.drawable("b\x07c") == "bc"
    assert letters.drawable("b\udcff") == "b\N{REPLACEMENT CHARACTER}"
    assert letters.drawable("b\ufe0f\u2063") == "b"
    assert letters.drawable("two\nlines\tand more") == "two lines and more"


def test_decomposed_korean_is_composed() -> None:
    assert lettering(["가"]).drawable("\u1100\u1161") == "가"


def test_width_counts_wide_characters_twice_and_marks_not() -> None:
    assert width("cat") == 3
    assert width("고양이") == 6
    assert width("น้ำ") == 2
    assert width("🐱") == 2


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [("cat", 3, "cat"), ("catfish", 4, "cat…"), ("고양이", 6, "고양이"), ("고양이", 5, "고양…"), ("고양이", 4, "고…")],
)
def test_shorten(text: str, columns: int, expected: str) -> None:
    assert shorten(text, columns) == expected
    assert width(shorten(text, columns)) <= columns
