"""At which level fused blocks run here and now, and where they must not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Literal, TypeAlias

import torch
from torch.autograd import forward_ad
from torch.fx._symbolic_trace import is_fx_symbolic_tracing
from torch.nn.modules.module import _has_any_global_hook
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from neocog.kernels.level import VARIABLE, Level, level_for

Kernels: TypeAlias = Literal["auto", "off", "amx", "avx512", "avx2"]

# A training sets it for itself alone: other threads, and what comes after, have their own.
_chosen: ContextVar[Kernels] = ContextVar("kernels", default="auto")


@contextmanager
def using(kernels: Kernels) -> Iterator[None]:
    """Use these kernels within the context, in this thread alone; "auto" leaves what is chosen around it."""
    if kernels == "auto":
        yield
        return
    token = _chosen.set(kernels)
    try:
        yield
    finally:
        _chosen.reset(token)


def current_level() -> Level | None:
    """Give the level that blocks run at here and now; None where layers have to run one by one.

    That is so where kernels are switched off or not there, and wherever somebody looks at the single operations:
    compilation, export, tracing, transforms of functions, forward-mode gradients, modes and hooks on all modules.
    """
    if torch.compiler.is_compiling() or (chosen := _chosen.get()) == "off" or _watched():
        return None
    bfloat16 = torch.is_autocast_enabled("cpu")
    if bfloat16 and torch.get_autocast_dtype("cpu") is not torch.bfloat16:
        return None
    level = _best_level(bfloat16, os.environ.get(VARIABLE))
    if level is None or chosen == "auto":
        return level
    return chosen if (chosen == "amx") == bfloat16 else None


def hooks_on_all_modules() -> bool:
    """Whether a hook is registered that each call of any module goes through."""
    return bool(_has_any_global_hook())  # type: ignore[no-untyped-call]  # torch gives it no types


@cache
def _best_level(bfloat16: bool, variable: str | None) -> Level | None:
    # `variable`, which level_for reads by itself, is what the answer may change with.
    return level_for(bfloat16)


def _watched() -> bool:
    return bool(
        torch._C._is_tracing()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or is_fx_symbolic_tracing()
        or hooks_on_all_modules()
        or (torch._C._len_torch_function_stack() and not _only_cpu_contexts())
    )


def _only_cpu_contexts() -> bool:
    """Whether the function modes are all of them `with torch.device("cpu")`."""
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]  # torch gives it no types
    return all(isinstance(mode, DeviceContext) and mode.device.type == "cpu" for mode in modes)
