"""Which level runs: for a processor, a library and NEOCOG_KERNELS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from neocog.errors import RecipeError
from neocog.kernels import level as module
from neocog.kernels.level import Level, available, level_for, reason
from neocog.kernels.library import Library

Set = Callable[..., None]
EVERY: Sequence[Level] = ("amx", "avx512", "avx2")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Sets what was compiled, what the processor has, and NEOCOG_KERNELS."""

    def set_machine(
        *,
        compiled: Sequence[Level] = EVERY,
        processor: Sequence[Level] = EVERY,
        asked: str | None = None,
        right: bool = True,
    ) -> None:
        functions = {level: lambda *_: 0 for level in compiled}
        blocks = Library(None if compiled else "it was not compiled", functions, functions, frozenset(processor))
        monkeypatch.setattr(module, "library", lambda: blocks)
        monkeypatch.setattr(module, "amx_is_right", lambda: right)
        monkeypatch.delenv("NEOCOG_KERNELS", raising=False)
        if asked is not None:
            monkeypatch.setenv("NEOCOG_KERNELS", asked)

    return set_machine


@pytest.mark.parametrize(
    ("compiled", "processor", "expected", "single", "bfloat16"),
    [
        (EVERY, EVERY, ("amx", "avx512", "avx2"), "avx512", "amx"),
        (EVERY, ("avx2", "avx512"), ("avx512", "avx2"), "avx512", None),
        (EVERY, ("avx2",), ("avx2",), "avx2", None),
        (EVERY, (), (), None, None),
        (("avx2", "avx512"), EVERY, ("avx512", "avx2"), "avx512", None),
        (("avx2",), EVERY, ("avx2",), "avx2", None),
        ((), EVERY, (), None, None),
    ],
)
def test_the_best_level_that_was_compiled_and_that_the_processor_has_runs(
    machine: Set,
    compiled: Sequence[Level],
    processor: Sequence[Level],
    expected: Sequence[Level],
    single: Level | None,
    bfloat16: Level | None,
) -> None:
    machine(compiled=compiled, processor=processor)
    assert available() == expected
    assert level_for(bfloat16=False) == single
    assert level_for(bfloat16=True) == bfloat16


@pytest.mark.parametrize("asked", ["amx", "avx512", "avx2", "AVX2"])
def test_the_variable_forces_one_level_and_no_other(machine: Set, asked: str) -> None:
    machine(asked=asked)
    assert level_for(bfloat16=False) == (None if asked == "amx" else asked.lower())
    assert level_for(bfloat16=True) == ("amx" if asked == "amx" else None)
    assert reason().endswith(f": NEOCOG_KERNELS={asked.lower()}")


def test_the_variable_switches_all_off(machine: Set) -> None:
    machine(asked="off")
    assert level_for(bfloat16=False) is None
    assert level_for(bfloat16=True) is None
    assert available() == EVERY
    assert reason() == "off: NEOCOG_KERNELS=off"


def test_amx_is_not_chosen_where_it_fails_its_self_test(machine: Set) -> None:
    machine(right=False)
    assert level_for(bfloat16=True) is None and level_for(bfloat16=False) == "avx512"
    assert reason() == "avx512 for float32: the best that the processor has (amx failed its self-test)"
    machine(right=False, asked="amx")
    assert level_for(bfloat16=True) == "amx"


def test_an_empty_variable_forces_nothing(machine: Set) -> None:
    machine(asked="")
    assert level_for(bfloat16=True) == "amx"


@pytest.mark.parametrize(
    ("compiled", "processor", "asked", "message"),
    [
        (EVERY, EVERY, "sse", "NEOCOG_KERNELS=sse: there is no such level. Possible here: amx, avx512, avx2, off; "),
        (EVERY, ("avx2",), "amx", "it needs a processor and a system with AMX with bfloat16. Possible here: avx2, off"),
        (("avx2",), EVERY, "amx", "the compiler that installed neocog did not make it. Possible here: avx2, off"),
        ((), EVERY, "avx2", "this level cannot run here: it was not compiled. Possible here: off"),
    ],
)
def test_a_level_that_cannot_run_is_refused_with_those_that_can(
    machine: Set, compiled: Sequence[Level], processor: Sequence[Level], asked: str, message: str
) -> None:
    machine(compiled=compiled, processor=processor, asked=asked)
    for ask in (lambda: level_for(bfloat16=False), lambda: level_for(bfloat16=True), reason):
        with pytest.raises(RecipeError) as refused:
            ask()
        assert message in str(refused.value)


@pytest.mark.parametrize(
    ("compiled", "processor", "expected"),
    [
        (EVERY, EVERY, "amx for bfloat16, avx512 for float32: the best that the processor has"),
        (
            EVERY,
            ("avx2",),
            "avx2 for float32: the best that the processor has "
            "(amx needs AMX with bfloat16; avx512 needs AVX-512 (F, BW, DQ, VL))",
        ),
        (
            ("avx2", "avx512"),
            EVERY,
            "avx512 for float32: the best that the processor has "
            "(amx was not compiled, the compiler is too old for it)",
        ),
        (EVERY, (), "none: the processor has neither AVX2 with FMA nor AVX-512"),
        ((), EVERY, "none: it was not compiled"),
    ],
)
def test_the_reason_names_what_runs_and_what_is_lacking(
    machine: Set, compiled: Sequence[Level], processor: Sequence[Level], expected: str
) -> None:
    machine(compiled=compiled, processor=processor)
    assert reason() == expected
