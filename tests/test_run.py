import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import RunError
from neocog.recipe import Recipe
from neocog.run import HISTORY, METRICS, RECIPE, Run, new_folder, runs_in, write_history


def run_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    Recipe.load("mnist").save(path / RECIPE)
    return path


number = st.one_of(st.floats(allow_nan=False), st.sampled_from([1e-300, 0.1, 1 / 3, 5e-324]))
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
row = st.fixed_dictionaries(
    {
        "stage": names,
        "epoch": st.integers(1, 999),
        "train_loss": number,
        "valid_accuracy": number,
        "learning_rate": number,
    }
)


@given(st.lists(row, max_size=4))
def test_history_reads_back_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "history"
    if not folder.exists():
        run_folder(folder)
    write_history(folder, rows)
    assert Run(folder).history == rows


def test_history_is_plain_csv(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "r")
    assert Run(folder).history == []
    write_history(
        folder, [{"stage": "머리, a", "epoch": 1, "train_loss": 0.1}, {"stage": "b", "epoch": 2, "train_loss": 1e-07}]
    )
    assert (folder / HISTORY).read_bytes() == 'stage,epoch,train_loss\n"머리, a",1,0.1\nb,2,1e-07\n'.encode()


@pytest.mark.parametrize("content", ["stage,epoch\na,one\n", "stage,epoch\na,1,2,3\n", "stage,epoch\na\n"])
def test_a_damaged_history_is_refused(content: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "r")
    (folder / HISTORY).write_text(content)
    with pytest.raises(RunError, match="is damaged"):
        _ = Run(folder).history


@pytest.mark.parametrize("content", ["", "{", "3", "null"])
def test_damaged_metrics_are_refused_with_what_to_do(content: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "r")
    (folder / METRICS).write_text(content)
    with pytest.raises(RunError, match=r"is damaged .*neocog resume"):
        _ = Run(folder).metrics


def test_a_run_without_metrics_is_not_finished(tmp_path: Path) -> None:
    run = Run(run_folder(tmp_path / "r"))
    assert not run.finished and run.metrics == {}
    (run.path / METRICS).write_text('{"epochs": 3}')
    assert run.finished and run.metrics == {"epochs": 3}
    assert run.recipe == Recipe.load("mnist")


def test_what_is_no_run_is_refused_and_others_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "runs" / "digits-001")
    with pytest.raises(RunError, match=r"there is no run 'runs/digits-002'.*Runs here: runs.digits-001"):
        Run("runs/digits-002")
    with pytest.raises(RunError, match=r"is not a run: it has no recipe\.toml"):
        Run(tmp_path)
    with pytest.raises(RunError, match=r"no best\.safetensors yet"):
        Run("runs/digits-001").classifier()


def test_new_folders_are_numbered(tmp_path: Path) -> None:
    made = [new_folder("꽃", None, parent=tmp_path / "a" / "runs").name for _ in range(3)]
    assert made == ["꽃-001", "꽃-002", "꽃-003"]
    (tmp_path / "a" / "runs" / "꽃-002").rmdir()
    assert new_folder("꽃", None, parent=tmp_path / "a" / "runs").name == "꽃-002"


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path: Path) -> None:
    assert new_folder("x", tmp_path / "new" / "deep").is_dir()
    assert new_folder("x", tmp_path / "new" / "deep") == tmp_path / "new" / "deep"
    with pytest.raises(RunError, match="Choose another --out"):
        new_folder("x", tmp_path / "new")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match="Choose another --out"):
            new_folder("x", path)
    folder = run_folder(tmp_path / "r")
    with pytest.raises(RunError, match=r"Go on with: neocog resume .*r$"):
        new_folder("x", folder)


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    for age, name in enumerate(["c", "a", "b"]):
        folder = run_folder(tmp_path / name)
        os.utime(folder / RECIPE, (1000 - age, 1000 - age))
    (tmp_path / "no-run").mkdir()
    (tmp_path / "file").write_text("")
    assert [run.path.name for run in runs_in(tmp_path)] == ["b", "a", "c"]
    assert list(runs_in(tmp_path / "missing")) == []
