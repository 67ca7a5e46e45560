"""The page of an audit: whole, safe, small, and readable in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neocog.auditing import Audit, Finding, audit
from neocog.auditing.findings import KINDS
from report.browser import accessibility_faults, chromium, look, needs_browser, requests

from .conftest import scene

EVIL = "<script>alert(1)</script>&"


@pytest.fixture
def found(faulty: Path) -> Audit:
    evil = faulty / "train" / EVIL.replace("/", "-")
    evil.mkdir()
    for number in range(2):
        scene(7, (80, 64)).save(evil / f'{number}" onload="x.png')
    return audit(faulty, quick=True)


def test_every_finding_is_on_the_page_with_its_pictures(found: Audit, tmp_path: Path) -> None:
    text = found.save(tmp_path / "audit.html").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([\w-]+)"', text)
    kinds = list(dict.fromkeys(finding.kind for finding in found.findings))
    assert sections == ["figures", *kinds, "method"]
    assert re.findall(r'<li><a href="#([\w-]+)"', text) == kinds
    pictures = re.findall(r'<img src="data:image/(?:png|jpeg);base64,[^"]{100,}"', text)
    pictured = [finding for finding in found.findings if finding.kind not in ("unreadable", "skipped", "small-class")]
    assert len(pictures) == sum(len(finding.items) for finding in pictured)
    assert "거울 🐝.png" in text
    assert "Content-Security-Policy" in text
    assert "<script" not in text
    assert 'onload="x' not in text


def test_a_page_stays_small_however_much_is_found(found: Audit, tmp_path: Path) -> None:
    item = found.of_kind("near-duplicate")[0].items[0]
    many = replace(
        found,
        findings=tuple(
            Finding(kind.name, (item,) * 9, f"finding {number}", 0.0, (item,) * 4)
            for kind in KINDS
            for number in range(900)
        ),
    )  # fmt: skip
    page = many.save(tmp_path / "many.html")
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 10_000_000
    assert 500 <= text.count("<img ") <= 600
    assert "And 776 more" in text
    assert "5 more files" in text


@needs_browser
def test_anyone_can_read_the_page_and_it_asks_nobody(found: Audit, tmp_path: Path) -> None:
    page = found.save(tmp_path / "audit.html")

    def script(driver: Any, text: str) -> Any:
        return driver.execute_script(f"return {text}")

    with chromium() as driver:
        for width, dark in ((1000, False), (360, True)):
            look(driver, width=width, dark=dark)
            requests(driver)
            driver.get(page.as_uri())
            assert [address for address in requests(driver) if not address.startswith("data:")] == [page.as_uri()]
            assert driver.get_log("browser") == []
            assert all(script(driver, "[...document.images].map(image => image.naturalWidth > 0)"))
            assert script(driver, "document.documentElement.scrollWidth <= window.innerWidth")
            assert accessibility_faults(driver) == []
