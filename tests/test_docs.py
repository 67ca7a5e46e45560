"""The documents say what is so: snippets run, commands exist, links lead somewhere, the two languages keep step."""

from __future__ import annotations

import fnmatch
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tomli_w
import torch
import typer.main
from PIL import Image
from typer.testing import CliRunner

from neocog.cli import app
from neocog.data.registry import available
from neocog.errors import NeocogError
from neocog.recipe import AugmentSettings, DataSettings, ModelSettings, Recipe, Settings, StageSettings, TrainSettings
from neocog.report import pictures

ROOT = Path(__file__).resolve().parents[1]
README, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
# tests/test_lessons.py runs these
LESSONS = sorted((ROOT / "docs" / "lessons").rglob("*.md"))
EVERYTHING = [README, KOREAN, ROOT / "CHANGELOG.md", *PAGES, *LESSONS]
# tests/notation has its own test of the reference of the notation, whose snippets are doctests
RUN = [README, *(page for page in PAGES if page.name != "notation.md")]
DRAWN = "photos-001"
LANGUAGES = {"python", "bash", "console", "toml", "text", "powershell", "neocog"}

_BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^\n]+ -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    language: str
    text: str
    skipped: bool


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    return [Block(m["language"], m["text"], m["skip"] is not None) for m in _BLOCK.finditer(text_of(page))]


def prose(page: Path) -> str:
    return _BLOCK.sub("", text_of(page))


def commands(block: Block) -> list[list[str]]:
    """The arguments of each neocog command in a block."""
    found = []
    for line in block.text.splitlines():
        command = re.fullmatch(r"(?:\$ |!)?(?:\S*[\\/])?neocog (.+)", line)
        if command and block.language in {"bash", "console", "powershell", "text"}:
            found.append(shlex.split(command[1], comments=True))
    return found


def parse(arguments: list[str], *, whole: bool = True) -> None:
    """Let the command line read the arguments without doing anything; prose names a command without all of them."""
    if "--help" in arguments:
        return
    group: Any = typer.main.get_command(app)
    context = group.make_context("neocog", [], resilient_parsing=True)
    name, command, rest = group.resolve_command(context, arguments)
    try:
        command.make_context(name, rest, parent=context)
    except Exception as error:
        # by its name, as typer brings click along under another one from version to version
        if whole or type(error).__name__ != "MissingParameter":
            raise


def id_of(page: Path) -> str:
    return f"{page.parent.name}-{page.name}" if page in LESSONS else page.name


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that has what the documents speak of: photographs, a list of them, and another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "cache"))
    colours = {"daisy": (220, 220, 230), "tulip": (190, 50, 90), "해바라기": (220, 170, 30)}
    draws = np.random.default_rng(0)
    lines = ["path,label,split,plant"]
    for folder in ("photos", "photos2"):
        for place, (name, colour) in enumerate(colours.items()):
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(12):
                plant = 10 * place + number // 2
                path = Path(folder, name, f"{plant}_{number % 2}.jpg")
                pixels = np.clip(draws.normal(colour, 40, (24, 32, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / path)
                lines += [f"{path},{name},,{plant}"] if folder == "photos" else []
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    (tmp_path / "photos" / "해바라기" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "photos.csv").write_text("\n".join(lines), encoding="utf-8")
    # The pictures take more time than such small trainings; they have tests of their own, so one run is drawn here.
    draw = pictures.write_pictures
    monkeypatch.setattr(
        pictures, "write_pictures", lambda folder, *given: draw(folder, *given) if folder.name == DRAWN else []
    )
    modules, threads = set(sys.modules), torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", RUN, ids=id_of)
def test_snippets_run_in_their_order(page: Path, workplace: Path) -> None:
    namespace: dict[str, object] = {"__name__": "snippet"}
    for block in blocks(page):
        if block.skipped:
            continue
        if block.language == "python":
            named = re.match(r"# (\w+\.py)\n", block.text)
            if named:
                (workplace / named[1]).write_text(block.text, encoding="utf-8")
            exec(compile(block.text, f"{page.name}: {block.text[:60]!r}", "exec"), namespace)
        elif block.language == "toml":
            Recipe.from_text(block.text, source=page.name).save(workplace / "mine.toml")
            Recipe.load(workplace / "mine.toml").stages()
        elif block.language == "bash":
            for arguments in commands(block):
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, (arguments, result.output, result.exception)
    if page == README:
        files = {path.name for path in (workplace / "runs" / DRAWN).iterdir()}
        # The pictures of this folder are small, so nothing was left to be chosen.
        assert files | {"choice.json"} == set(re.findall(r"^\| `([\w.]+\.\w+)` \|", prose(README), re.MULTILINE))


@pytest.mark.parametrize("page", [README, *PAGES], ids=id_of)
def test_shown_output_is_what_is_printed(page: Path, workplace: Path) -> None:
    for block in blocks(page):
        if block.language != "console" or block.skipped:
            continue
        for part in block.text.split("$ ")[1:]:
            command, _, shown = part.partition("\n")
            result = CliRunner().invoke(app, shlex.split(command)[1:])
            printed = result.output
            if isinstance(result.exception, NeocogError):
                printed += f"error: {result.exception}"
            assert _lines(printed) == _lines(shown)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("page", EVERYTHING, ids=id_of)
def test_every_command_can_be_parsed(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, block.text
        for arguments in commands(block):
            parse(arguments)
    for inline in re.findall(r"`!?neocog ([^`…]+)`", prose(page)):
        parse(shlex.split(inline), whole=False)


def test_the_readme_shows_every_command() -> None:
    shown = {arguments[0] for block in blocks(README) for arguments in commands(block) if arguments}
    shown |= {words.split()[0] for words in re.findall(r"`!?neocog (\w[^`]*)`", prose(README))}
    group: Any = typer.main.get_command(app)
    assert set(group.commands) <= shown


def test_the_readmes_keep_step() -> None:
    def skeleton(page: Path) -> list[str]:
        return [re.match(r"#+", line)[0] for line in prose(page).splitlines() if line.startswith("#")]  # type: ignore[index]

    def tables(page: Path) -> list[int]:
        return [line.count("|") for line in prose(page).splitlines() if line.startswith("|")]

    assert skeleton(README) == skeleton(KOREAN)
    assert blocks(README) == blocks(KOREAN)
    assert tables(README) == tables(KOREAN)
    outside = [[link for link in links(page) if not link.startswith("#")] for page in (README, KOREAN)]
    assert outside[0][1:] == outside[1][1:]  # the first leads to the other language


def links(page: Path) -> list[str]:
    return [a or b for a, b in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", prose(page))]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of headings: small letters, no punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERYTHING, ids=id_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", EVERYTHING, ids=id_of)
def test_no_path_of_a_machine_and_no_package_index_is_named(page: Path) -> None:
    forbidden = r"/(?:work|tmp|home|root|opt)/|C:\\|pypi|hosted\.org|download\.pytorch|index-url|anaconda"
    assert not re.search(forbidden, text_of(page), re.IGNORECASE)


def test_every_key_of_a_recipe_is_described_with_its_default() -> None:
    page = text_of(ROOT / "docs" / "recipe.md")
    tables: dict[str, type[Settings]] = {
        "[data]": DataSettings,
        "[model]": ModelSettings,
        "[augment]": AugmentSettings,
        "[train]": TrainSettings,
        "[[stage]]": StageSettings,
    }
    assert set(Recipe.model_fields) == {"description", *(name.strip("[]") for name in tables)}
    for heading, settings in tables.items():
        section = page.partition(f"\n## `{heading}`\n")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| .+? \| (\S.*?) \| \S", section.replace("\\|", "/"), re.MULTILINE)
        assert dict(rows) == {name: _shown(field) for name, field in settings.model_fields.items()}, heading
        assert len(rows) == len(settings.model_fields)


def _shown(field: Any) -> str:
    if field.is_required():
        return "needed"
    if field.default is None:
        return "left out"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    written = re.sub(r"\s*\n\s*", " ", tomli_w.dumps({"value": value}).partition("=")[2].strip())
    return f"`{written.replace('[ ', '[').replace(', ]', ']')}`"


def test_the_examples_of_keys_are_accepted() -> None:
    page = text_of(ROOT / "docs" / "recipe.md")
    tried = 0
    for heading in ("data", "model", "augment", "train"):
        section = page.partition(f"\n## `[{heading}]`\n")[2].partition("\n## ")[0]
        for key, examples in re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section, re.MULTILINE):
            for example in re.findall(r"`([^`]+)`", examples):
                more = 'optimizer = "sgd"\n' if key in ("momentum", "nesterov") else ""
                more += "momentum = 0.9\n" if key == "nesterov" else ""
                Recipe.from_text(f"[{heading}]\n{more}{key} = {example}", source=example)
                tried += 1
    assert tried > 50


def test_the_data_sets_with_a_name_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| ([\d,]+) \| ([\d,]+) \| (\d+) \| (\w+) \| (.+) \|$",
                      text_of(ROOT / "docs" / "data.md"), re.MULTILINE)  # fmt: skip
    known = [
        (entry.name, entry.description, *(f"{count:,}" for count in entry.images), str(entry.classes), entry.size,
         entry.where)
        for entry in available()
    ]  # fmt: skip
    assert rows == known


def test_pictures_are_small_and_none_is_unused() -> None:
    used = {link for page in EVERYTHING for link in links(page)}
    for picture in (ROOT / "docs" / "images").rglob("*.*"):
        assert picture.stat().st_size < 200_000
        assert any(fnmatch.fnmatch(link, f"*images/*{picture.name}") for link in used), picture
