"""The lessons say what is so: their snippets run and print what is shown, and the two languages keep step.

A page's python blocks run in their order, in one namespace, in an empty folder, on one thread. What a block prints must
stand in the `text` block right after it; `…` in that stands for any text within a line. A picture that a page shows
must be made by the page itself, with `savefig` under the picture's own name. `bash` blocks run too; a block after a
comment `<!-- not run: why -->` does not. The blocks and pictures of a Korean page must equal those of the English one,
so that running the English ones runs all. Links, commands and paths are checked with those of the other documents, in
test_docs.py.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from neocog.cli import app
from test_docs import ROOT, Block, blocks, commands, links, prose

LESSONS = ROOT / "docs" / "lessons"
INDEX = LESSONS / "README.md"
PICTURES = ROOT / "docs" / "images" / "lessons"
PAGES = sorted(LESSONS.glob("*/*.md"))
ENGLISH = [page for page in PAGES if page.parent.name == "en"]


def id_of(page: Path) -> str:
    return f"{page.parent.name}/{page.name}"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, no window for pictures, one thread, and the caller's generators left as they were."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    threads, printed = torch.get_num_threads(), np.get_printoptions()
    torch.set_num_threads(1)
    plt.switch_backend("Agg")
    with torch.random.fork_rng(devices=[]), matplotlib.rc_context():
        yield tmp_path
    plt.close("all")
    np.set_printoptions(**printed)
    torch.set_printoptions(profile="default")
    torch.set_num_threads(threads)


def check_printed(block: Block, following: Block | None, printed: str) -> None:
    """What a snippet printed is what the `text` block after it shows."""
    where = f"after {block.text[:200]!r}"
    shows = following is not None and following.language == "text"
    if not printed.strip():
        assert not shows, f"{where}: it prints nothing, but there is a text block after it"
        return
    assert shows, f"{where}: nothing shows what it prints:\n{printed}"
    shown = [line.rstrip() for line in following.text.strip("\n").splitlines()]
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    pattern = "\n".join(".*".join(re.escape(part) for part in line.split("…")) for line in shown)
    assert re.fullmatch(pattern, "\n".join(lines)), f"{where}: it prints\n" + "\n".join(lines)


def run_page(page: Path) -> None:
    """Run a page's snippets in their order."""
    namespace: dict[str, object] = {"__name__": "lesson"}
    every = blocks(page)
    for block, following in zip(every, [*every[1:], None], strict=True):
        if block.skipped:
            continue
        if block.language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block.text, f"{id_of(page)}: {block.text[:60]!r}", "exec"), namespace)
            check_printed(block, following, out.getvalue())
        elif block.language == "bash":
            for arguments in commands(block):
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, (arguments, result.output, result.exception)
        elif block.language == "console":
            for part in block.text.split("$ ")[1:]:
                command, _, shown = part.partition("\n")
                [arguments] = commands(Block("console", f"$ {command}\n", False))
                printed = CliRunner().invoke(app, arguments).output
                assert [line.rstrip() for line in printed.strip().splitlines()] == [
                    line.rstrip() for line in shown.strip().splitlines()
                ]


def pictures(page: Path) -> list[Path]:
    return [(page.parent / link).resolve() for link in links(page) if link.endswith(".png")]


def small(path: Path) -> np.ndarray:
    """A picture in shades of gray, blurred to eighths of its size: (H, W), 0 to 255."""
    with Image.open(path) as image:
        shape = (image.width // 8, image.height // 8)
        return np.asarray(image.convert("L").resize(shape, Image.Resampling.BOX), dtype=np.float64)


@pytest.mark.parametrize("page", ENGLISH, ids=id_of)
def test_snippets_run_in_their_order(page: Path, workplace: Path) -> None:
    run_page(page)
    for picture in pictures(page):
        made = workplace / picture.name
        assert made.is_file(), f"{picture.name} is shown, and no snippet saves it"
        now, shown = small(made), small(picture)
        assert now.shape == shown.shape, picture.name
        # fonts and lines differ a little from version to version, another picture differs a lot
        assert np.abs(now - shown).mean() < 8, f"{picture.name} is not what the page makes now"


@pytest.mark.parametrize("page", ENGLISH, ids=id_of)
def test_the_languages_keep_step(page: Path) -> None:
    twin = LESSONS / "ko" / page.name
    assert twin.exists()

    def skeleton(page: Path) -> list[str]:
        return re.findall(r"^#+(?= )", prose(page), re.MULTILINE)

    def tables(page: Path) -> list[int]:
        return [line.count("|") for line in prose(page).splitlines() if line.startswith("|")]

    def led(page: Path) -> list[str]:
        # an anchor is made of a heading, which is in the language of the page
        found = [link if link.startswith("https://") else link.partition("#")[0] for link in links(page)]
        return sorted(link for link in found if not re.match(r"\.\./(en|ko)/", link))

    assert blocks(page) == blocks(twin)
    assert skeleton(page) == skeleton(twin)
    assert tables(page) == tables(twin)
    assert led(page) == led(twin)


def test_each_language_has_every_lesson() -> None:
    names = {language: {page.name for page in PAGES if page.parent.name == language} for language in ("en", "ko")}
    assert names["en"] and names["en"] == names["ko"]
    assert len(PAGES) == 2 * len(names["en"])


def test_korean_pages_are_written_in_korean() -> None:
    for page in PAGES:
        hangul = len(re.findall(r"[가-힣]", prose(page)))
        assert (hangul > 500) == (page.parent.name == "ko"), id_of(page)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_index_leads_through_the_lessons(language: str) -> None:
    order = [link for link in links(INDEX) if link.startswith(f"{language}/")]
    assert sorted(order) == sorted(f"{language}/{page.name}" for page in PAGES if page.parent.name == language)
    other = {"en": "ko", "ko": "en"}[language]
    for place, link in enumerate(order):
        page = LESSONS / link
        assert f"../{other}/{page.name}" in links(page), f"{link} does not lead to its twin"
        following = order[place + 1].partition("/")[2] if place + 1 < len(order) else "../README.md"
        assert links(page)[-1] == following, f"the last link of {link} does not lead to {following}"


def test_pictures_are_small_and_none_is_unused() -> None:
    used = {picture for page in PAGES for picture in pictures(page)}
    for picture in PICTURES.iterdir():
        assert picture.stat().st_size < 200_000
        assert picture.resolve() in used, picture.name
