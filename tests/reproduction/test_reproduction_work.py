"""Runs that are trained, kept, resumed and refused, on the 8x8 digits."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.reproduction.small import NETWORKS, recipes

from neocog.errors import RecipeError, RunError
from neocog.report import pictures
from neocog.reproduction import work
from neocog.reproduction.report import body
from neocog.reproduction.results import Results
from neocog.reproduction.work import Reproduced, reproduce
from neocog.run import Run


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """The pictures of a single run take longer than such a training, and have tests of their own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "write_pictures", lambda *given: [])
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def done(undrawn: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reproduced, list[str]]:
    """A folder with all small recipes in two seeds, what came out, and what was told."""
    folder, told = tmp_path_factory.mktemp("reproduced"), list[str]()
    return folder, reproduce(seeds=2, out=folder, progress=False, tell=told.append, recipes=recipes()), told


@pytest.fixture
def copy(done: tuple[Path, Reproduced, list[str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(done[0], tmp_path / "copy"))


def again(folder: Path, *names: str, **options: Any) -> tuple[Reproduced, list[str]]:
    told: list[str] = []
    options = {"seeds": 2, "progress": False, "recipes": recipes()} | options
    return reproduce(names, out=folder, tell=told.append, **options), told


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_each_run_is_an_ordinary_one_in_a_folder_of_its_own(done: tuple[Path, Reproduced, list[str]]) -> None:
    folder, out, told = done
    assert not out.failures and not out.interrupted
    for name, network in NETWORKS.items():
        for seed in range(2):
            run = Run(folder / name / f"seed-{seed}")
            assert run.finished
            assert (run.recipe.train.seed, run.recipe.model.network) == (seed, network)
    assert told[0] == "[1/6] bootcamp-cnn, seed 0: training"
    assert told[-1] == "mlp, seed 1: shifting the test images"


def test_the_results_are_those_of_the_runs(done: tuple[Path, Reproduced, list[str]]) -> None:
    folder, out, _ = done
    assert out.results == Results.load(folder / "results.json")
    assert [(run.recipe, run.seed) for run in out.results.runs] == [
        (name, seed) for name in NETWORKS for seed in (0, 1)
    ]
    for found in out.results.runs:
        run = Run(folder / found.recipe / f"seed-{found.seed}")
        assert found.figures["test_accuracy"] == run.metrics["test"]["accuracy"]
        assert found.figures["lowest_valid_loss"] == min(row["valid_loss"] for row in run.history)
        assert (found.test_images, found.validated_on_test) == (360, True)
        assert re.fullmatch(r"cpu, float32, (channels_last|contiguous), 1 threads(, avx\w+ blocks)?", found.place)
        assert found.torch == torch.__version__
    assert out.results.of("mlp")[0].macs == 64 * 16 + 16 * 10
    assert out.results.machine.processor and out.results.machine.cores >= 1


def test_the_shifts_begin_at_the_runs_own_accuracy(done: tuple[Path, Reproduced, list[str]]) -> None:
    folder, out, _ = done
    assert {(row.recipe, row.seed) for row in out.results.shifted} == {
        (name, seed) for name in ("bootcamp-cnn", "mlp") for seed in (0, 1)
    }
    for row in out.results.shifted:
        assert len(row.accuracies) == 7
        own = Run(folder / row.recipe / f"seed-{row.seed}").metrics["test"]["accuracy"]
        assert row.accuracies[0] == pytest.approx(own)
        # eight pixels wide: six to the side leave little to see
        assert row.accuracies[6] < row.accuracies[0] - 0.3


def test_the_report_has_the_tables_and_pictures_that_are_there(done: tuple[Path, Reproduced, list[str]]) -> None:
    folder, out, _ = done
    text = (folder / "reproduction.md").read_text(encoding="utf-8")
    assert text == f"# Published figures and ours\n\n{body(out.results, 'pictures')}\n"
    shown = re.findall(r"\]\((.+?)\)", text)
    assert sorted(shown) == sorted(f"pictures/{name}.png" for name in (*NETWORKS, "shift"))
    assert all((folder / link).is_file() for link in shown)


def test_what_is_finished_is_not_done_again(copy: Path) -> None:
    before = contents(copy)
    out, told = again(copy)
    assert told == [
        f"[{number}/6] {name}, seed {seed}: finished already"
        for number, (name, seed) in enumerate(((name, seed) for name in NETWORKS for seed in (0, 1)), start=1)
    ]
    assert contents(copy) == before
    assert out.results is not None


def test_what_is_not_finished_is_resumed_and_the_others_stay_in_the_report(copy: Path) -> None:
    before = contents(copy)
    (copy / "mlp" / "seed-1" / "metrics.json").unlink()
    out, told = again(copy, "mlp")
    assert told == ["[1/2] mlp, seed 0: finished already", "[2/2] mlp, seed 1: going on"]
    after = contents(copy)
    assert after["mlp/seed-1/metrics.json"] == before["mlp/seed-1/metrics.json"]
    assert out.results is not None and len(out.results.runs) == 6


def test_a_run_of_another_recipe_is_refused_before_anything_is_trained(copy: Path) -> None:
    shutil.rmtree(copy / "bootcamp-cnn")
    changed = recipes() | {"mlp": recipes()["mlp"].with_values({"train.epochs": 3})}
    with pytest.raises(RunError, match=r"seed-0 is a run of another recipe than mlp is now: train\.epochs = 2 there, 3 "
                       r"in the recipe\. Give another --out, or delete .*seed-0"):  # fmt: skip
        again(copy, recipes=changed)
    assert not (copy / "bootcamp-cnn").exists()


def test_a_run_of_another_recipe_that_is_not_asked_for_is_left_out(copy: Path) -> None:
    changed = recipes() | {"mlp": recipes()["mlp"].with_values({"train.epochs": 3})}
    out, told = again(copy, "bootcamp-cnn", recipes=changed)
    assert not out.failures
    assert sum(text.startswith("left out: ") and "train.epochs = 2 there" in text for text in told) == 2
    assert out.results is not None and {run.recipe for run in out.results.runs} == {
        "bootcamp-cnn",
        "bootcamp-cnn-stride",
    }
    assert "Shifted images" not in (copy / "reproduction.md").read_text(encoding="utf-8")


def test_a_run_that_fails_stops_no_other(undrawn: None, tmp_path: Path) -> None:
    given = recipes()
    given["bootcamp-cnn"] = given["bootcamp-cnn"].with_values({"train.lr": 1e30, "train.optimizer": "sgd"})
    out, told = again(tmp_path, "bootcamp-cnn", "mlp", recipes=given, seeds=1)
    assert len(out.failures) == 1
    assert out.failures[0].startswith(f"{tmp_path / 'bootcamp-cnn' / 'seed-0'}: ")
    assert told[1].startswith("failed: ")
    assert out.results is not None and [run.recipe for run in out.results.runs] == ["mlp"]


def test_a_damaged_run_is_told_once(copy: Path) -> None:
    (copy / "mlp" / "seed-0" / "metrics.json").write_text("{")
    out, _ = again(copy, "mlp")
    assert len(out.failures) == 1 and "metrics.json is damaged" in out.failures[0]
    assert out.results is not None and len(out.results.runs) == 5


def test_an_interrupted_training_ends_it_all(undrawn: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = work.train

    def stopped(*arguments: Any, **options: Any) -> Run:
        return train(*arguments, **options, listeners=[lambda event: "interrupted"])

    monkeypatch.setattr(work, "train", stopped)
    out, told = again(tmp_path, "mlp", "bootcamp-cnn")
    assert (out.interrupted, out.results) == (True, None)
    assert told == ["[1/4] bootcamp-cnn, seed 0: training"]
    monkeypatch.undo()
    out, told = again(tmp_path, "bootcamp-cnn", seeds=1)
    assert told == ["[1/1] bootcamp-cnn, seed 0: going on"]
    assert out.results is not None and len(out.results.runs) == 1


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [(["mpl"], {}, "Did you mean 'mlp'"), ([], {"seeds": 0}, "seeds = 0: expected the number of seeds, at least 1")],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, names: list[str], options: dict[str, int], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        again(tmp_path / "out", *names, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"machine": {}}'])
def test_results_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(RunError, match=r"results\.json does not hold results .* Delete it"):
        Results.load(tmp_path / "results.json")
    with pytest.raises(RunError, match="cannot read"):
        Results.load(tmp_path / "nowhere.json")
