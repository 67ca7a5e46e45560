"""`neocog doctor`: what it says here, and what it says where something is wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from tests.conftest import neocog
from typer.testing import CliRunner

from neocog import __version__, doctor
from neocog.cli import app
from neocog.errors import RecipeError
from neocog.kernels import level, library, selftest
from neocog.kernels.level import available, level_for
from neocog.kernels.selftest import Check


def test_the_command_says_what_runs_and_how_fast(tmp_path: Path) -> None:
    done = neocog("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^(\w[\w-]+) +(.*)$", done.stdout, re.MULTILINE))
    assert list(rows)[:8] == ["versions", "processor", "kernels", "self-test", "threads", "memory", "device", "trial"]
    assert rows["versions"].startswith(f"neocog {__version__}, torch {torch.__version__}, ")
    assert len(re.findall(r"^self-test +\w+ is right in 16 results", done.stdout, re.MULTILINE)) == len(available())
    figures = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:images/s|without)", rows["trial"])]
    if level_for(bfloat16=False):
        ours, stock = figures
        assert ours > 0
        assert stock > 0
        assert re.search(
            r": \d+\.\d times as fast \(training, 128 images of 1x28x28 a step, on the CPU\)$", rows["trial"]
        )
    else:
        assert "without fused blocks" in rows["trial"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that takes no time."""
    monkeypatch.setattr(doctor, "measure", lambda *_: doctor.Trial(3000.0, 1200.0))


def said(code: int = 0) -> str:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.usefixtures("quick")
def test_a_self_test_that_fails_is_told_and_gives_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(level, "available", lambda: ("avx2",))
    checks = [Check("3x3: output", 1e-7, 1e-5), Check("3x3: gradient of the bias", 0.5, 1e-5)]
    monkeypatch.setattr(selftest, "selftest", lambda *_, **__: checks)
    text = said(1)
    assert "self-test  avx2 FAILED in 1 of 2 results: 3x3: gradient of the bias, error 5.0e-01\n" in text
    assert "NEOCOG_KERNELS=off" in text
    assert "\ntrial " in text


@pytest.mark.usefixtures("quick")
def test_the_variable_is_named_where_it_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOCOG_KERNELS", "off")
    text = said()
    assert re.search(r"^kernels +off: NEOCOG_KERNELS=off$", text, re.MULTILINE)
    assert re.search(r"^trial +1,200 images/s without fused blocks", text, re.MULTILINE)


def test_a_level_that_does_not_exist_is_refused_before_anything_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOCOG_KERNELS", "sse9")
    result = CliRunner().invoke(app, ["doctor"])
    assert isinstance(result.exception, RecipeError)
    assert not result.output


@pytest.mark.usefixtures("quick")
def test_without_compiled_blocks_it_says_why_and_that_there_is_nothing_to_test(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = library.Library("the blocks were not compiled when neocog was installed; reasons")
    for module in (level, library):
        monkeypatch.setattr(module, "library", lambda: missing)
    text = said()
    assert re.search(r"^kernels +none: the blocks were not compiled when neocog was installed", text, re.MULTILINE)
    assert re.search(r"^self-test +nothing to test$", text, re.MULTILINE)


@pytest.mark.usefixtures("quick")
def test_settings_that_matter_are_shown_with_what_could_be_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
    monkeypatch.setenv("LD_PRELOAD", os.environ.get("LD_PRELOAD", "") + " /usr/lib/libjemalloc.so.2")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(os, "getloadavg", lambda: (7.5, 0.0, 0.0))
    monkeypatch.setattr(doctor, "usable_cores", lambda: 1.5)
    text = said()
    assert re.search(r"^threads +8, .*, GOMP_SPINCOUNT=0", text, re.MULTILINE)
    assert "libjemalloc.so.2 (LD_PRELOAD)\n" in text
    assert "note: 8 threads share 1.5 cores. Set OMP_NUM_THREADS=1" in text
    assert "note: other programs keep the cores busy (load 7.5). With OMP_WAIT_POLICY=PASSIVE" in text
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert "note: 8" not in said()
    assert "OMP_WAIT_POLICY" not in said()


@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000\n", 8.0), ("150000 100000\n", 1.5), ("1600000 100000", 8)]
)
def test_the_cores_are_those_that_the_container_allows(
    limit: str, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(doctor, "CONTAINER_LIMIT", tmp_path / "cpu.max")
    assert doctor.usable_cores() == 8
    (tmp_path / "cpu.max").write_text(limit)
    assert doctor.usable_cores() == expected
