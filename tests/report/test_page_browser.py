"""report.html in a real browser: it shows everything, asks nobody, and anyone can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import neocog as nc
from neocog.comparison import compare
from neocog.report.page import write_report
from neocog.report.page.comparison import write_comparison
from report.browser import accessibility_faults, chromium, look, needs_browser, requests
from report.conftest import NAMES
from report.test_page import made_classifier, made_subject

pytestmark = needs_browser

SECTIONS = [
    "figures", "provenance", "curves", "network", "confusion", "classes", "calibration", "mistakes", "inside",
    "samples", "seen", "files", "recipe",
]  # fmt: skip


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture(params=["photographs", "digits"])
def page(request: pytest.FixtureRequest, driver: Any) -> Any:
    """The browser, with the report of a run on photographs with odd class names, or on digits."""
    run: Path = request.getfixturevalue(f"{request.param}_run")
    look(driver)
    requests(driver)
    driver.get_log("browser")
    driver.get((run / "report.html").as_uri())
    return driver


def script(driver: Any, text: str) -> Any:
    return driver.execute_script(f"return {text}")


def test_every_section_is_there_and_leads_somewhere(page: Any) -> None:
    assert script(page, "[...document.querySelectorAll('main > section')].map(s => s.id)") == SECTIONS
    assert all(script(page, "[...document.querySelectorAll('main > section')].map(s => s.innerText.length > 20)"))
    targets = script(page, "[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    assert targets == SECTIONS


def test_nothing_is_said_in_the_console_and_nobody_is_asked(page: Any) -> None:
    assert page.get_log("browser") == []
    asked = [address for address in requests(page) if not address.startswith("data:")]
    assert asked == [page.current_url]


def test_every_picture_is_shown_and_described(page: Any) -> None:
    pictures = script(page, "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt])")
    assert pictures
    assert all(shown and len(alt) > 5 for shown, alt in pictures)
    charts = script(
        page, "[...document.querySelectorAll('svg')].map(s => [s.clientWidth, s.getAttribute('aria-label')])"
    )
    assert len(charts) == 3
    assert all(width > 200 and len(told) > 30 for width, told in charts)


def test_a_phone_shows_it_without_scrolling_sideways(page: Any) -> None:
    for width in (360, 768, 1400):
        look(page, width=width)
        assert script(page, "document.documentElement.scrollWidth") <= width
        assert script(page, "parseFloat(getComputedStyle(document.body).fontSize)") >= 16


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_anyone_can_read_it(page: Any, dark: bool) -> None:
    look(page, dark=dark)
    background = script(page, "getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (not dark)
    page.execute_script("document.querySelector('details').open = true")
    assert accessibility_faults(page) == []
    look(page, width=360, dark=dark)
    assert accessibility_faults(page) == []


def test_names_are_text_and_nothing_else(driver: Any, photographs_run: Path) -> None:
    driver.get((photographs_run / "report.html").as_uri())
    heads = script(driver, "[...document.querySelectorAll('.matrix tbody th')].map(h => h.textContent)")
    assert sorted(heads) == sorted(NAMES)
    assert script(driver, "document.querySelectorAll('script, iframe, object, link[rel=stylesheet]').length") == 0


@pytest.fixture
def long_names(driver: Any, tmp_path: Path) -> Any:
    """The browser, with a report on classes of long names, one of them written from right to left."""
    classes = (
        "a-name-without-a-blank-" * 4,
        "a name of several words " * 4,
        "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    )
    classifier = made_classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), classes)
    look(driver)
    driver.get(write_report(tmp_path / "report.html", made_subject(classifier, 40)).as_uri())
    return driver


def test_long_names_leave_room_for_what_is_said_of_them(long_names: Any) -> None:
    last = "document.querySelector('.matrix tbody tr').lastElementChild.getBoundingClientRect().right"
    assert script(long_names, last) <= 1000
    heights = (
        "[...document.querySelectorAll('.value')].map(v => v.offsetHeight / parseFloat(getComputedStyle(v).fontSize))"
    )
    assert max(script(long_names, heights)) < 2, "a figure and its unit stand on one line"


def test_a_name_from_right_to_left_turns_nothing_else_round(long_names: Any) -> None:
    # the first digit behind the name stands left of the last one, as in every other line
    turned = """(() => {
        const left = (text, at) => {
            const range = document.createRange();
            range.setStart(text, at); range.setEnd(text, at + 1);
            return range.getBoundingClientRect();
        };
        return [...document.querySelectorAll('.answers p b')].filter(name => /[\u0600-\u06ff]/.test(name.textContent))
            .map(name => [name.nextSibling, name.nextSibling.data.indexOf('(')])
            .map(([text, at]) => [left(text, at), left(text, text.data.indexOf('%'))])
            .map(([bracket, percent]) => bracket.top == percent.top && bracket.left < percent.left);
    })()"""
    found = script(long_names, turned)
    assert found and all(found)


def test_the_page_of_a_comparison_is_as_sound(driver: Any, digits_run: Path, tmp_path: Path) -> None:
    other = nc.train(
        "digits", model="flatten | linear classes", epochs=1, out=tmp_path / "b", progress=False, threads=1
    )
    found = compare([digits_run, other], names=["<i>cnn</i>", "선형"])
    look(driver)
    requests(driver)
    driver.get_log("browser")
    driver.get(write_comparison(tmp_path / "comparison.html", found).as_uri())
    assert driver.get_log("browser") == []
    assert [address for address in requests(driver) if not address.startswith("data:")] == [driver.current_url]
    assert "<i>cnn</i>" in script(driver, "document.body.innerText")
    assert all(script(driver, "[...document.images].map(i => i.naturalWidth > 0 && i.alt.length > 5)"))
    for dark in (False, True):
        look(driver, width=360, dark=dark)
        assert script(driver, "document.documentElement.scrollWidth") <= 360
        assert accessibility_faults(driver) == []
