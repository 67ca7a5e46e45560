"""The shared library of the fused blocks: found, loaded and bound; and the OpenMP runtime that it shares with torch."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Level = Literal["amx", "avx512", "avx2"]
LEVELS: tuple[Level, ...] = get_args(Level)

PATH = Path(__file__).with_name("_blocks.so")

OK, NO_MEMORY, BAD_SHAPE = range(3)

# Their names without the level, and how many arguments each has.
_FUNCTIONS = (("forward", 7), ("backward", 9), ("norm_forward", 8), ("norm_backward", 11))

_PROCESSOR_BITS: Mapping[Level, int] = {"avx2": 1, "avx512": 2, "amx": 4}


class ConvStruct(ctypes.Structure):
    """`neocog_conv` of source/blocks.h."""

    _fields_ = (
        ("images", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("in_channels", ctypes.c_int64),
        ("out_channels", ctypes.c_int64),
        ("kernel", ctypes.c_int32),
        ("padding", ctypes.c_int32),
        ("pool", ctypes.c_int32),
        ("pool_padding", ctypes.c_int32),
        ("relu", ctypes.c_int32),
    )


class NormStruct(ctypes.Structure):
    """`neocog_norm` of source/blocks.h."""

    _fields_ = (
        ("pixels", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("epsilon", ctypes.c_double),
        ("relu", ctypes.c_int32),
    )


class ThreadsStruct(ctypes.Structure):
    """`neocog_threads` of source/blocks.h."""

    _fields_ = (("parallel", ctypes.c_void_p), ("count", ctypes.c_int32))


@dataclass(frozen=True)
class Library:
    """What was loaded: the functions of each level that was compiled, and the levels that the processor can run.

    `problem` says why there are none; None where the library is there.
    """

    problem: str | None = None
    forward: Mapping[Level, Callable[..., int]] = field(default_factory=dict)
    backward: Mapping[Level, Callable[..., int]] = field(default_factory=dict)
    processor: frozenset[Level] = frozenset()
    norm_forward: Mapping[Level, Callable[..., int]] = field(default_factory=dict)
    norm_backward: Mapping[Level, Callable[..., int]] = field(default_factory=dict)


@cache
def library() -> Library:
    """Load the shared library, once for the process."""
    return load(PATH)


def load(path: Path) -> Library:
    """Load the shared library at `path`, or say what is in the way."""
    if not path.exists():
        return Library(_not_compiled())
    try:
        loaded = ctypes.CDLL(str(path))
        bits = int(loaded.neocog_processor())
    except (OSError, AttributeError) as error:
        return Library(f"the compiled blocks cannot be loaded ({error}); install neocog again")
    able = frozenset(level for level in LEVELS if bits & _PROCESSOR_BITS[level])
    forward, backward, norm_forward, norm_backward = (_functions(loaded, *what) for what in _FUNCTIONS)
    return Library(None, forward, backward, able, norm_forward, norm_backward)


def _functions(loaded: ctypes.CDLL, name: str, arguments: int) -> dict[Level, Callable[..., int]]:
    """Bind a function of every level that has it."""
    return {
        level: _bound(loaded[f"neocog_{name}_{level}"], arguments)
        for level in LEVELS
        if hasattr(loaded, f"neocog_{name}_{level}")
    }


def _bound(function: Any, arguments: int) -> Callable[..., int]:
    function.argtypes = [ctypes.c_void_p] * arguments
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]


def _not_compiled() -> str:
    machine = platform.machine()
    if machine.lower() not in ("x86_64", "amd64"):
        return f"the blocks are written for x86-64 processors; this one is {machine}"
    if os.name != "posix":
        return f"the blocks are not compiled on {platform.system()}"
    return (
        "the blocks were not compiled when neocog was installed; "
        "that needs a C++ compiler (g++ or clang++), and installing neocog again"
    )


@dataclass(frozen=True)
class OpenMP:
    """GOMP_parallel of the OpenMP runtime that torch uses: its address, and the file that it lies in."""

    parallel: int
    path: str


@cache
def openmp() -> OpenMP | None:
    """Find torch's OpenMP runtime; None where there is none, and the blocks run on one thread.

    The symbol is looked up in the order in which the loader did it for torch itself: what the whole process shares
    (LD_PRELOAD too), then what torch's library depends on. So there are never two runtimes, whose threads would
    fight for the cores.
    """
    import torch

    if os.name != "posix":
        return None
    for name in (None, *map(str, (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.so"))):
        try:
            function = ctypes.CDLL(name).GOMP_parallel
        except (OSError, AttributeError):
            continue
        address = ctypes.cast(function, ctypes.c_void_p).value
        if address:
            return OpenMP(address, _file_of(address))
    return None


class _DlInfo(ctypes.Structure):
    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _file_of(address: int) -> str:
    info = _DlInfo()
    found = ctypes.CDLL(None).dladdr(ctypes.c_void_p(address), ctypes.byref(info))
    return os.fsdecode(info.file) if found and info.file else ""
