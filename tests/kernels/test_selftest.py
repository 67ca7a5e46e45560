"""The self-test: right where the kernels are, and not where they are wrong."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from tests.kernels.cases import FLOAT32_LEVELS, needs

from neocog.kernels import block
from neocog.kernels.level import Level
from neocog.kernels.library import Library, library
from neocog.kernels.selftest import Check, selftest


@pytest.mark.parametrize("level", [*FLOAT32_LEVELS, needs("amx")])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_right_level_passes(level: Level, threads: int) -> None:
    checks = selftest(level, threads=threads)
    assert len(checks) == 4 * 4
    assert all(check.passed for check in checks), [check for check in checks if not check.passed]


@pytest.mark.parametrize("level", FLOAT32_LEVELS)
@pytest.mark.parametrize("wrong", ["forward", "backward"])
def test_one_wrong_number_is_found(level: Level, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = {name: dict(getattr(library(), name)) for name in ("forward", "backward")}
    right = functions[wrong][level]
    changed = 5 if wrong == "forward" else 7  # y; dw

    def spoilt(*given: Any) -> int:
        status = right(*given)
        ctypes.cast(given[changed], ctypes.POINTER(ctypes.c_float))[0] += 1.0
        return int(status)

    functions[wrong][level] = spoilt
    monkeypatch.setattr(block, "library", lambda: Library(None, functions["forward"], functions["backward"]))
    failed = [check.name for check in selftest(level) if not check.passed]
    expected = "output" if wrong == "forward" else "gradient of the weights"
    assert len(failed) == 4
    assert all(name.endswith(expected) for name in failed)


def test_what_is_not_a_number_does_not_pass() -> None:
    assert not Check("output", float("nan"), 1e-5).passed
