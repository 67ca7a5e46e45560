"""Which level of the fused blocks runs: what was compiled, what the processor has, and what NEOCOG_KERNELS asks for."""

from __future__ import annotations

import os
from functools import cache

from neocog.errors import RecipeError
from neocog.kernels.library import LEVELS, Library, library
from neocog.kernels.library import Level as Level

VARIABLE = "NEOCOG_KERNELS"

NAMES = {
    "amx": "AMX with bfloat16",
    "avx512": "AVX-512 (F, BW, DQ, VL)",
    "avx2": "AVX2 with FMA",
}


def available() -> tuple[Level, ...]:
    """Give the levels that were compiled and that this processor can run, the best one first."""
    blocks = library()
    return tuple(level for level in LEVELS if level in blocks.forward and level in blocks.processor)


def level_for(bfloat16: bool) -> Level | None:
    """Give the level that computes in bfloat16, or in float32; None where PyTorch's own kernels have to.

    Raises `RecipeError` where the environment variable NEOCOG_KERNELS asks for what is not there.
    """
    fitting = [level for level in _allowed() if (level == "amx") == bfloat16]
    return fitting[0] if fitting else None


@cache
def amx_is_right() -> bool:
    """Whether the level amx passes its self-test, which decides whether it is ever chosen by itself.

    It was written where no processor has it, and checked with tiles in software. Takes a fraction of a second, once.
    """
    import torch

    from neocog.kernels.selftest import selftest

    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        return all(check.passed for check in selftest("amx"))


def reason() -> str:
    """Say in one sentence which level runs and why, or why none does.

    Raises `RecipeError` as `level_for` does.
    """
    allowed, asked = _allowed(), _asked()
    if asked == "off":
        return f"off: {VARIABLE}=off"
    if not allowed:
        return f"none: {library().problem or 'the processor has neither AVX2 with FMA nor AVX-512'}"
    because = f"{VARIABLE}={asked}" if asked else "the best that the processor has"
    return f"{_by_format(allowed)}: {because}{'' if asked else _left_out(library())}"


def _by_format(levels: tuple[Level, ...]) -> str:
    single = next((level for level in levels if level != "amx"), None)
    parts = ["amx for bfloat16"] if "amx" in levels else []
    parts += [f"{single} for float32"] if single else []
    return ", ".join(parts)


def _left_out(blocks: Library) -> str:
    """Name the levels above the best float32 one that could have been expected, and what they lack."""
    missing = [level for level in LEVELS[:2] if level not in available()]
    parts = [] if "amx" in missing or amx_is_right() else ["amx failed its self-test"]
    parts += [
        f"{level} was not compiled, the compiler is too old for it"
        if level in blocks.processor
        else f"{level} needs {NAMES[level]}"
        for level in missing
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _asked() -> str:
    """Give what NEOCOG_KERNELS holds; empty where the choice is free."""
    return os.environ.get(VARIABLE, "").strip().lower()


def _allowed() -> tuple[Level, ...]:
    """Give the levels that may run, the best one first."""
    asked = _asked()
    if not asked:
        return tuple(level for level in available() if level != "amx" or amx_is_right())
    if asked == "off":
        return ()
    if asked not in LEVELS:
        raise RecipeError(f"{VARIABLE}={asked}: there is no such level. {_possible()}")
    if asked not in available():
        blocks = library()
        why = blocks.problem or (
            "the compiler that installed neocog did not make it"
            if asked in blocks.processor
            else f"it needs a processor and a system with {NAMES[asked]}"
        )
        raise RecipeError(f"{VARIABLE}={asked}: this level cannot run here: {why}. {_possible()}")
    return (asked,)


def _possible() -> str:
    return f"Possible here: {', '.join([*available(), 'off'])}; leave {VARIABLE} unset for the best one."
