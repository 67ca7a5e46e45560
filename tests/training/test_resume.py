"""A run that is killed and resumed ends with the bits of one that was not: real processes, real signals."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import EVERYTHING, neocog_process

from neocog import resume, train
from neocog.errors import RecipeError
from neocog.kernels import plan
from neocog.kernels.level import VARIABLE, level_for
from neocog.recipe import Recipe
from neocog.training import checkpoint
from neocog.training.events import Event, StepDone, Validating

SAME = ["best.safetensors", "last.safetensors", "history.csv", "metrics.json", "recipe.toml"]

# Stages that differ in what they train and how; the first one ends early.
STAGES = """
[data]
source = "digits"

[model]
network = "conv 8 3x3 same | batchnorm | relu | maxpool 2 | dropout 0.2 | flatten | linear 32 | relu | linear 10"

[train]
epochs = 12
batch_size = 32
patience = 1
min_delta = 0.2
clip_norm = 1.0
threads = 1
checkpoint_seconds = 0.02

[[stage]]
name = "머리"
freeze = ["conv1", "batchnorm*"]
train = { optimizer = "sgd", momentum = 0.9, nesterov = true, lr = 0.02, class_weights = "balanced" }

[[stage]]
name = "all"
train = { optimizer = "adamw", lr = 3e-3, epochs = 3, min_delta = 0.0, ema = 0.95, schedule = "cosine" }
"""


# Every kind of fused block, on two threads.
FUSED: dict[str, Any] = {
    "model": "conv 8 3x3 same | relu | maxpool 2 | conv 16 3x3 same nobias | maxpool 2 pad 1 | batchnorm | relu "
    "| conv 16 5x5 pad 3 | relu | dropout 0.2 | flatten | linear classes",
    "epochs": 2,
    "batch_size": 100,
    "precision": "float32",
    "threads": 2,
    "rotate": 10.0,
    "progress": False,
}

needs_blocks = pytest.mark.skipif(level_for(bfloat16=False) is None, reason="no float32 blocks can run here")


def same_bits(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert not [file.name for file in one.iterdir() if file.name.startswith(".")], "something temporary was left"


def wait_until(done: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Wait until something is so, or the process has ended."""
    deadline = time.monotonic() + seconds
    while not done() and process.poll() is None:
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.01)


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill a process; say whether it was still running."""
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


def test_killed_at_a_random_moment_then_stopped_by_ctrl_c_it_ends_with_the_same_bits(
    unbroken: Path, tmp_path: Path
) -> None:
    last = tmp_path / "run" / "last.safetensors"
    process = neocog_process("train", *EVERYTHING, "--out", "run", cwd=tmp_path)
    wait_until(last.exists, process)
    time.sleep(random.uniform(0.0, 0.2))
    assert kill(process)
    before = last.stat().st_mtime_ns
    process = neocog_process("resume", "run", cwd=tmp_path)
    wait_until(lambda: last.stat().st_mtime_ns != before, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "neocog resume run" in out
    assert "Traceback" not in err
    resume(tmp_path / "run", progress=False)
    same_bits(tmp_path / "run", unbroken)


def test_killed_before_the_first_checkpoint_and_at_a_random_moment_it_ends_with_the_same_bits(
    unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = neocog_process("train", *EVERYTHING, "--out", "run", cwd=tmp_path)
    wait_until((run / "recipe.toml").exists, process)
    assert kill(process)
    process = neocog_process("resume", "run", cwd=tmp_path)
    wait_until((run / "last.safetensors").exists, process)
    time.sleep(random.uniform(0.0, 0.5))
    kill(process)
    resume(run, progress=False)
    same_bits(run, unbroken)


def test_killed_in_each_of_two_stages_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    (tmp_path / "stages.toml").write_text(STAGES, encoding="utf-8")
    unbroken = train(recipe=tmp_path / "stages.toml", out=tmp_path / "unbroken", progress=False)
    rows = unbroken.history
    assert {row["stage"] for row in rows} == {"머리", "all"}
    assert len([row for row in rows if row["stage"] == "머리"]) < 12, "it was to stop early"
    last = tmp_path / "run" / "last.safetensors"

    def stage() -> int:
        return int(checkpoint.read(last)[1]["stage"])

    process = neocog_process("train", "--recipe", "stages.toml", "--out", "run", cwd=tmp_path)
    wait_until(last.exists, process)
    assert kill(process)
    assert stage() == 0
    process = neocog_process("resume", "run", cwd=tmp_path)
    wait_until(lambda: stage() == 1, process)
    assert kill(process)
    resume(tmp_path / "run", progress=False)
    same_bits(tmp_path / "run", unbroken.path)


def test_stopped_while_it_validates_it_ends_with_the_same_bits(unbroken: Path, tmp_path: Path) -> None:
    seen = 0

    def stop(event: Event) -> str | None:
        nonlocal seen
        seen += isinstance(event, Validating)
        return "enough" if isinstance(event, Validating) and seen == 2 else None

    run = train(recipe=unbroken / "recipe.toml", out=tmp_path / "run", progress=False, listeners=[stop])
    assert not run.finished and len(run.history) == 1
    state = checkpoint.read(run.path / "last.safetensors")[1]
    assert (state["epoch"], state["step"]) == (1, 41)
    resume(run, progress=False)
    same_bits(run.path, unbroken)


def test_training_from_the_effective_recipe_gives_the_same_run_again(unbroken: Path, tmp_path: Path) -> None:
    train(recipe=unbroken / "recipe.toml", out=tmp_path / "again", progress=False)
    same_bits(tmp_path / "again", unbroken)


def test_the_effective_recipe_leaves_nothing_to_be_decided(unbroken: Path) -> None:
    recipe = Recipe.load(unbroken / "recipe.toml")
    text = recipe.text()
    # These three follow from the rest of the recipe and the images alone.
    for settled in ('cache = "auto"', 'mode = "auto"', 'l2_penalty = "auto"'):
        text = text.replace(settled, "")
    assert '"auto"' not in text
    assert recipe.train.threads > 0
    assert recipe.data.image_size == (8, 8)


def test_a_finished_run_is_left_as_it_is(unbroken: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in unbroken.iterdir()}
    assert resume(unbroken, progress=False).finished
    assert {file: file.stat().st_mtime_ns for file in unbroken.iterdir()} == before


def stop_at(step: int) -> Callable[[Event], str | None]:
    """A listener that asks to stop after so many steps."""
    seen = 0

    def stop(event: Event) -> str | None:
        nonlocal seen
        seen += isinstance(event, StepDone)
        return "enough" if seen == step and isinstance(event, StepDone) else None

    return stop


@needs_blocks
@pytest.mark.parametrize("step", [3, 20])
def test_a_run_in_fused_blocks_ends_with_the_same_bits(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = 0
    compute = plan.fused_conv

    def counted(*inputs: Any, **settings: Any) -> Any:
        nonlocal computed
        computed += 1
        return compute(*inputs, **settings)

    monkeypatch.setattr(plan, "fused_conv", counted)
    unbroken = train("digits", out=tmp_path / "unbroken", **FUSED)
    assert unbroken.recipe.train.kernels == level_for(bfloat16=False)
    in_all = computed
    assert in_all
    stopped = train("digits", out=tmp_path / "run", listeners=[stop_at(step)], **FUSED)
    assert not stopped.finished
    resume(stopped, progress=False)
    # The validation of an epoch is not repeated, nor is any step.
    assert computed == 2 * in_all
    same_bits(stopped.path, unbroken.path)


@needs_blocks
def test_resuming_obeys_the_kernels_that_the_run_records_or_says_why_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = train("digits", out=tmp_path / "fused", listeners=[stop_at(1)], **FUSED)
    off = train("digits", out=tmp_path / "off", listeners=[stop_at(1)], kernels="off", **FUSED)
    assert off.recipe.train.kernels == "off"
    monkeypatch.setattr(plan, "fused_conv", lambda *given, **settings: pytest.fail("a block ran"))
    assert resume(off, progress=False).finished
    monkeypatch.setenv(VARIABLE, "off")
    with pytest.raises(
        RecipeError, match=rf"kernels = '\w+': it cannot run here \(off: {VARIABLE}=off\)\. Use kernels"
    ):
        resume(fused, progress=False)
