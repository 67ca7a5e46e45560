"""A run that is killed and resumed ends with the bits of one that was not: real processes, real signals."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from tests.conftest import EVERYTHING, neocog, neocog_process

from neocog.recipe import Recipe
from neocog.run import Run

SAME = ["best.safetensors", "last.safetensors", "history.csv", "metrics.json", "recipe.toml"]


def same_bits(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def wait_until_begun(run: Path, seconds: float = 120) -> None:
    """Wait for the first checkpoint."""
    deadline = time.monotonic() + seconds
    while not (run / "last.safetensors").exists():
        assert time.monotonic() < deadline, "the training never began"
        time.sleep(0.01)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_and_resumed_it_ends_with_the_same_bits(
    seed: int, unbroken: Path, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    run = tmp_path / "run"
    process = neocog_process("train", *EVERYTHING, "--out", "run", cwd=tmp_path)
    wait_until_begun(run)
    kills = 0
    for _ in range(3):
        time.sleep(moments.uniform(0.0, 0.8))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        if Run(run).finished:
            break
        before = (run / "last.safetensors").stat().st_mtime_ns
        process = neocog_process("resume", "run", cwd=tmp_path)
        while process.poll() is None and (run / "last.safetensors").stat().st_mtime_ns == before:
            time.sleep(0.01)
    process.communicate()
    assert neocog("resume", "run", cwd=tmp_path).returncode == 0
    assert kills >= 1
    same_bits(run, unbroken)


def test_killed_before_the_first_checkpoint_it_begins_anew_with_the_same_bits(unbroken: Path, tmp_path: Path) -> None:
    process = neocog_process("train", *EVERYTHING, "--out", "run", cwd=tmp_path)
    while not (tmp_path / "run" / "recipe.toml").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert neocog("resume", "run", cwd=tmp_path).returncode == 0
    same_bits(tmp_path / "run", unbroken)


def test_ctrl_c_leaves_a_checkpoint_and_prints_the_line_that_resumes(unbroken: Path, tmp_path: Path) -> None:
    process = neocog_process("train", *EVERYTHING, "--out", "run", cwd=tmp_path)
    wait_until_begun(tmp_path / "run")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "neocog resume run" in out
    assert "Traceback" not in err
    assert neocog("resume", "run", cwd=tmp_path).returncode == 0
    same_bits(tmp_path / "run", unbroken)


def test_training_from_the_effective_recipe_gives_the_same_run_again(unbroken: Path, tmp_path: Path) -> None:
    done = neocog("train", "--recipe", str(unbroken / "recipe.toml"), "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same_bits(tmp_path / "again", unbroken)


def test_the_effective_recipe_leaves_nothing_to_be_decided(unbroken: Path) -> None:
    recipe = Recipe.load(unbroken / "recipe.toml")
    text = recipe.text()
    assert '"auto"' not in text.replace('cache = "auto"', "").replace('mode = "auto"', "")
    assert recipe.train.threads > 0
    assert recipe.data.image_size == (8, 8)
