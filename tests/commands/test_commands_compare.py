"""`neocog compare` as one types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from neocog.commands.compare import compare
from neocog.errors import DataError, NeocogError, RecipeError, RunError, WeightsError
from neocog.metadata import Metadata
from neocog.models import build
from neocog.training.checkpoint import save_tensors

NETS = (
    "from torch import nn\n"
    "def build(input_shape, num_classes):\n"
    "    return nn.Sequential(nn.Flatten(), nn.Linear(16, num_classes))\n"
)


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(compare)
    return CliRunner().invoke(app, list(arguments))


def weights(path: Path, seed: int, classes: tuple[str, ...] = ("dark", "light"), network: str = "") -> None:
    """Weights of an untrained network for 4x4 images."""
    module = build("flatten | linear classes", (1, 4, 4), len(classes), seed=seed)
    tensors = module.state_dict()
    if network:
        tensors = dict(zip(("1.weight", "1.bias"), tensors.values(), strict=True))
    text = network or "flatten | linear classes"
    save_tensors(path, tensors, Metadata(text, "name", classes, (4, 4), 1, "squash", (0.5,), (0.5,)).values())


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three classifiers and images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for seed in range(3):
        weights(tmp_path / "models" / f"{seed}.safetensors", seed)
    generator = torch.Generator().manual_seed(0)
    for name in ("dark", "light"):
        (tmp_path / "shades" / name).mkdir(parents=True)
        for number in range(20):
            pixels = torch.randint(0, 256, (4, 4), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / "shades" / name / f"{number}.png")
    return tmp_path


def test_the_table_has_short_names_and_json_has_all_differences(place: Path) -> None:
    runs = [f"models/{seed}.safetensors" for seed in range(3)]
    done = invoke(*runs, "--on", "shades")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("shades: 40 images, the same for all\n")
    assert "models/" not in done.stdout and done.stdout.count("0.safetensors") == 4
    found = json.loads(invoke(*runs, "--on", "shades", "--format", "json").stdout)
    assert [item["name"] for item in found["classifiers"]] == [f"{seed}.safetensors" for seed in range(3)]
    assert len(found["pairs"]) == 3 and found["images"] == 40
    assert {len(item["answers"]) for item in found["differences"]} == {3}
    assert all(len({answer["label"] for answer in item["answers"]}) == 2 for item in found["differences"])


def test_the_differences_are_drawn(place: Path) -> None:
    done = invoke("models/0.safetensors", "models/1.safetensors", "--on", "shades", "--out", "d.png")
    assert done.exit_code == 0 and "wrote d.png" in done.stderr
    assert Image.open(place / "d.png").width > 300
    # without a difference the picture says so
    weights(place / "same.safetensors", 0)
    done = invoke("models/0.safetensors", "same.safetensors", "--on", "shades", "--out", "same.png")
    assert done.exit_code == 0 and "They give the same answer to every image." in done.stdout
    assert (place / "same.png").stat().st_size < (place / "d.png").stat().st_size


def test_the_page_holds_everything_and_escapes_names(place: Path) -> None:
    (place / "<b>odd").mkdir()
    weights(place / "<b>odd" / "1.safetensors", 1)
    done = invoke("models/0.safetensors", "<b>odd/1.safetensors", "--on", "shades", "--out", "c.html")
    assert done.exit_code == 0 and "wrote c.html" in done.stderr
    page = (place / "c.html").read_text(encoding="utf-8")
    found = json.loads(
        invoke("models/0.safetensors", "<b>odd/1.safetensors", "--on", "shades", "--format", "json").stdout
    )
    assert page.count('<img src="data:image/png;base64,') == len(found["differences"]) > 0
    assert "<b>odd" not in page and "&lt;b&gt;odd/1.safetensors" in page
    assert not re.search(r"(?:src|href)=\"(?!data:|#)|<script|url\(", page)
    assert all(f'<td class="number">{100 * item["accuracy"]:.2f} %</td>' in page for item in found["classifiers"])


def test_code_is_imported_only_where_it_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(place))
    (place / "compare_nets.py").write_text(NETS)
    weights(place / "own.safetensors", 4, network="compare_nets:build")
    arguments = ["own.safetensors", "models/0.safetensors", "--on", "shades"]
    done = invoke(*arguments)
    assert isinstance(done.exception, WeightsError) and "--model compare_nets:build" in str(done.exception)
    assert invoke(*arguments, "--model", "compare_nets:build").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["models/0.safetensors"], RunError, "there is nothing to compare models/0.safetensors with"),
        (["models/0.safetensors", "nowhere"], RunError, "there is no run or weights file 'nowhere'"),
        (["models/0.safetensors", "models/1.safetensors"], DataError, "not known"),
        (["models/0.safetensors", "models/1.safetensors", "--on", "nowhere"], DataError, "called 'nowhere'"),
        (["models/0.safetensors", "other.safetensors", "--on", "shades"], DataError, "different labels"),
        (
            ["a", "b", "--out", "d.pdf"],
            RecipeError,
            "--out d.pdf: expected the name of a file that ends in .html or .png.",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arguments: list[str], error: type[NeocogError], says: str, place: Path
) -> None:
    weights(place / "other.safetensors", 0, classes=("dark", "light", "gray"))
    found = invoke(*arguments).exception
    assert isinstance(found, error) and says in str(found)
