"""The benchmarks run from the repository's root with tiny settings and write the figures they promise; never a time."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neocog.kernels.level import VARIABLE, available
from neocog.training.events import EpochDone, StepDone, Validating

ROOT = Path(__file__).resolve().parents[1]
MACHINE = {"processor", "cores", "system", "python", "neocog", "torch", "torch_capability", "threads", "levels"}
# Each contender is a process beside the others, and other tests run at the same time.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def figures(name: str, folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Run a benchmark; give what it wrote and what it printed."""
    file = folder / "figures.json"
    command = [sys.executable, f"benchmarks/{name}.py", "--quick", "--json", str(file), *options]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["benchmark"] == name
    assert set(found["machine"]) >= MACHINE
    assert found["machine"]["threads"] == 1
    return found, done.stdout


def by_name(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["contender"]: line for line in lines}


def test_training_step_gives_rates_ratios_and_the_share_of_the_peak(tmp_path: Path) -> None:
    levels = [f"neocog-{level}" for level in ("amx", "avx512")]
    options = ["--batch-sizes", "8", "--rounds", "2", "--turn", "0.01"]
    found, printed = figures("training_step", tmp_path, *options, "--contenders", "eager", "neocog", *levels)
    (result,) = found["results"]
    assert (result["network"], result["batch_size"], result["input_shape"]) == ("A", 8, [1, 28, 28])
    # conv1 28x28x32x9, conv2 14x14x64x288, linear 3136x10 multiply-accumulates, three passes, no gradient of the images
    conv1, others = 225_792, 3_612_672 + 31_360
    assert result["step_flop"] == 8 * 2 * (2 * conv1 + 3 * others)
    assert result["peak_gflops"]["float32"] > 0
    lines = by_name(result["contenders"])
    for name in ("eager", "neocog"):
        line = lines[name]
        assert len(line["seconds"]) == 2
        assert line["images_per_second"] > 0 and line["fraction_of_peak"] > 0
        assert line["ratio_to_bf16"] is None
    assert lines["eager"]["ratio_to_eager"] == lines["eager"]["ratio_to_fastest_stock"] == 1
    assert math.isclose(
        lines["neocog"]["ratio_to_eager"],
        lines["neocog"]["images_per_second"] / lines["eager"]["images_per_second"],
    )
    # the level that runs by itself has no second line; one that cannot run is named with the reason
    assert any("skipped" in lines[name] for name in levels)
    assert all(name in printed for name in lines)
    if available() and not os.environ.get(VARIABLE):
        assert f"{available()[0]} blocks" in lines["neocog"]["place"]


def test_inference_gives_rates_and_latencies_of_logits_that_agree(tmp_path: Path) -> None:
    there = importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime")
    options = ["--batch-sizes", "4", "--rounds", "2", "--turn", "0.01"]
    found, printed = figures("inference", tmp_path, *options, "--contenders", "eager", "onnxruntime", "neocog")
    (result,) = found["results"]
    assert (result["network"], result["threads"]) == ("A", 1)
    lines = by_name(result["contenders"])
    ran = ["eager", "neocog", *(["onnxruntime"] if there else [])]
    for name in ran:
        line = lines[name]
        assert 0 <= line["largest_error"] <= 1e-4
        assert len(line["batches"]["4"]["seconds"]) == 2
        assert line["batches"]["4"]["images_per_second"] > 0
        single = line["single_image"]
        assert single["calls"] >= 2 and 0 < single["median_seconds"] <= single["p95_seconds"]
        assert (single["ratio_to_onnxruntime"] is not None) == bool(there)
    if not there:
        assert "not installed" in lines["onnxruntime"]["skipped"]
    assert all(name in printed for name in lines)


def test_time_to_accuracy_gives_the_curve_of_the_course_the_ends_of_the_recipes_and_what_they_did_not_reach(
    tmp_path: Path,
) -> None:
    found, printed = figures("time_to_accuracy", tmp_path, "--recipes", "mnist-quick", "no-such-recipe")
    (course,) = found["runs"]["course"]
    seconds = [at for at, _ in course["curve"]]
    assert seconds == sorted(seconds) and len(seconds) == 5
    assert all(0 <= accuracy <= 100 for _, accuracy in course["curve"])
    for name in ("published", "mnist-quick"):
        (run,) = found["runs"][name]
        assert run["seconds"] > 0 and 0 <= run["accuracy"] <= 100
        end = {"seconds": run["seconds"], "accuracy": run["accuracy"], "least_accuracy": run["accuracy"]}
        assert found["ends"][name] == end
    (ours,) = found["runs"]["mnist-quick"]
    assert ours["call_seconds"] > ours["seconds"]
    assert "no-such-recipe" in found["skipped"]
    assert [line["accuracy"] for line in found["targets"]] == [98.25, 99.02, 99.35]
    # five steps of training reach none
    for line in found["targets"]:
        assert line["course_seconds"] is line["neocog_seconds"] is line["neocog"] is line["ratio_to_course"] is None
    assert printed.count("%       not") == 3


def test_the_clock_counts_to_the_last_step_and_leaves_validation_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("time_to_accuracy")
    now = 0.0
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: now)
    clock = benchmark.Clock()
    step, validating = StepDone(0, 1, 2, 8, 1.0, 0.5), Validating(1, 1)
    done = EpochDone({}, 2, True, True, 16, 1.0)
    # two seconds to start, two steps of one second, five of validation, one to save; again; then the test
    for seconds, event in [(3, step), (1, step), (5, validating), (1, done), (1, step), (1, step), (5, validating)]:
        now += seconds
        clock(event)
    now += 100
    assert clock.seconds == 3 + 1 + 1 + 1 + 1


def test_a_figure_is_reached_by_the_mean_and_by_more_than_half_of_the_course_s_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("time_to_accuracy")

    def ends(*runs: tuple[float, float]) -> list[dict[str, float]]:
        return [{"seconds": seconds, "accuracy": accuracy} for seconds, accuracy in runs]

    course = [
        {"reached": {"98.25": seconds, "99.02": later, "99.35": None}}
        for seconds, later in [(10.0, 50.0), (20.0, None), (30.0, 70.0)]
    ]
    runs = {
        "course": course,
        "published": ends((4.0, 99.0), (6.0, 99.1)),
        "quick": ends((1.0, 98.9), (3.0, 98.9)),
        "slow": ends((30.0, 99.4), (50.0, 99.32)),
    }
    easy, middle, hard = benchmark.compare(runs)["targets"]
    assert (easy["course_seconds"], easy["neocog"], easy["neocog_seconds"], easy["ratio_to_course"]) == (
        20,
        "quick",
        2,
        10,
    )
    assert (easy["published_seconds"], easy["ratio_to_published"]) == (5, 2.5)
    assert (middle["course_seconds"], middle["neocog"], middle["published"]) == (70, "slow", "published")
    assert (hard["course_seconds"], hard["neocog"], hard["published"], hard["ratio_to_course"]) == (
        None,
        "slow",
        None,
        None,
    )
