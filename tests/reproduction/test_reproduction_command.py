"""`neocog reproduce` as one types it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.conftest import neocog_process
from tests.reproduction.small import recipes, result, results
from typer.testing import CliRunner

from neocog.cli import app
from neocog.errors import RecipeError
from neocog.reproduction import work
from neocog.reproduction.published import reproducible
from neocog.reproduction.work import Reproduced
from neocog.run import Run

WITHOUT_TORCH = """
import sys
from neocog.cli import main
sys.argv = ["neocog", "reproduce", *sys.argv[1:]]
try:
    main()
except SystemExit as left:
    code = left.code
assert "torch" not in sys.modules and "matplotlib" not in sys.modules
sys.exit(code)
"""


def type_in(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True)


def test_without_a_name_it_lists_what_was_published() -> None:
    done = type_in()
    assert done.returncode == 0, done.stderr
    for name in reproducible():
        assert re.search(rf"^{name} ", done.stdout, re.MULTILINE)
    assert re.search(r"^lenet5 +last validation accuracy +98\.25 %  after 20 epochs$", done.stdout, re.MULTILINE)
    assert "neocog reproduce --all --seeds 3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet"], "'lenet' is not among the recipes with a figure to compare with. Did you mean 'lenet5'?"),
        (["lenet5", "--all"], "give names or --all, not both: lenet5 --all."),
        (["lenet5", "--seeds", "0"], "--seeds 0: expected the number of seeds, at least 1."),
        (["--all", "--seeds", "many"], "--seeds: expected a whole number, not 'many'."),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(arguments: list[str], message: str) -> None:
    done = type_in(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_it_prints_the_table_and_what_to_mind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = results(
        result("lenet5", 0, on_test=True, last_valid_accuracy=0.983, parameters=61_706, epochs=20, seconds=168),
        result("lenet5", 1, on_test=True, last_valid_accuracy=0.982, parameters=61_706, epochs=20, seconds=170),
        result("mnist", test_accuracy=0.99),
    )
    monkeypatch.setattr(work, "reproduce", lambda *names, **options: Reproduced(found))
    shown = CliRunner().invoke(app, ["reproduce", "lenet5", "--out", str(tmp_path)])
    assert shown.exit_code == 0
    assert shown.output.splitlines()[:5] == [
        "recipe  figure                    published            ours  verdict",
        "lenet5  last validation accuracy    98.25 %  98.25 % ± 0.07  reached",
        "lenet5  parameters                   61,706          61,706  equal",
        "",
        "recipe  seeds  parameters  epochs  seconds  mind",
    ]
    assert re.search(r"^lenet5 +2 +61,706 +20 +169  validated on the test set; assumed: pixels", shown.output, re.M)
    assert f"report   {tmp_path / 'reproduction.md'}" in shown.output
    assert "mnist" not in shown.output


def test_failures_are_told_at_the_end_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "reproduce", lambda *names, **options: Reproduced(results(), ("there: broken.",)))
    shown = CliRunner().invoke(app, ["reproduce", "--all"])
    assert shown.exit_code == 1
    assert "failed: there: broken." in shown.output


def test_every_recipe_is_meant_by_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(
        work, "reproduce", lambda names, **options: asked.append((names, options)) or Reproduced(results())
    )
    CliRunner().invoke(app, ["reproduce", "--all", "--seeds", "3", "--out", str(tmp_path)])
    ((names, options),) = asked
    assert names == reproducible()
    assert (options["seeds"], options["out"]) == (3, tmp_path)


def test_a_user_of_python_has_the_same_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'nothing' is not among"):
        work.reproduce(["nothing"], out=tmp_path)


def test_a_real_training_is_interrupted_such_that_it_can_go_on(tmp_path: Path) -> None:
    process = neocog_process("reproduce", "fashion-scratch", "--out", "out", cwd=tmp_path)
    log = tmp_path / "out" / "fashion-scratch" / "seed-0" / "log.txt"
    try:
        for _ in range(600):
            if process.poll() is not None or (log.is_file() and "stage train" in log.read_text(encoding="utf-8")):
                break
            signal.sigtimedwait([], 0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == "Stopped. The same command goes on from here.\n"
    assert "[1/1] fashion-scratch, seed 0: training" in err
    run = Run(log.parent)
    assert not run.finished
    assert (run.path / "last.safetensors").is_file()


def test_the_whole_command_on_small_recipes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from neocog.report import pictures

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(pictures, "write_pictures", lambda *given: [])
    reproduce = work.reproduce
    monkeypatch.setattr(
        work, "reproduce", lambda names, **options: reproduce(names, recipes=recipes(), **options, progress=False)
    )
    shown = CliRunner().invoke(app, ["reproduce", "mlp", "--out", str(tmp_path)])
    torch.set_num_threads(threads)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^mlp +test accuracy +none +\d\d\.\d\d %$", shown.output, re.MULTILINE)
    assert {path.name for path in tmp_path.iterdir()} == {"mlp", "pictures", "reproduction.md", "results.json"}
