"""Loading the shared library, and the OpenMP runtime that it shares with torch."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neocog.kernels import library as module
from neocog.kernels.library import LEVELS, PATH, ConvStruct, NormStruct, ThreadsStruct, library, load, openmp

HEADER = Path(module.__file__).parent / "source" / "blocks.h"
on_linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the blocks are compiled on x86-64 and Linux"
)


@on_linux
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler")
def test_where_a_compiler_is_there_an_installation_has_the_blocks() -> None:
    assert library().problem is None, "install neocog again: pip install --editable ."
    assert {"avx2", "avx512"} <= set(library().forward) <= set(LEVELS)
    assert set(library().backward) == set(library().forward)


@on_linux
def test_the_processors_levels_are_those_that_the_system_reports() -> None:
    if library().problem:
        pytest.skip(library().problem)
    flags = set(re.findall(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[0].split())
    assert ("avx2" in library().processor) == ({"avx2", "fma"} <= flags)
    assert ("avx512" in library().processor) == ({"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"} <= flags)
    assert ("amx" not in library().processor) or ({"amx_tile", "amx_bf16"} <= flags)


@pytest.mark.parametrize(("name", "structure"), [("neocog_conv", ConvStruct), ("neocog_norm", NormStruct)])
def test_the_structures_have_the_fields_of_the_header(name: str, structure: type[ctypes.Structure]) -> None:
    numbers = {"int64_t": ctypes.c_int64, "int32_t": ctypes.c_int32, "double": ctypes.c_double}
    declared = re.findall(r"(\w+) ([\w, ]+);", body_of(name))
    fields = [(field.strip(), numbers[kind]) for kind, names in declared for field in names.split(",")]
    assert list(structure._fields_) == fields


def test_the_structure_of_the_threads_has_the_fields_of_the_header() -> None:
    names = re.findall(r"(\w+)\)?(?:\([^;]*\))?;", body_of("neocog_threads"))
    assert names == [name for name, _ in ThreadsStruct._fields_]


def test_the_functions_take_as_many_arguments_as_in_the_header() -> None:
    if library().problem:
        pytest.skip(library().problem)
    header = re.sub(r"\\\n|//.*", "", HEADER.read_text(encoding="utf-8"))
    declared = {
        name: arguments.count(",") + 1 for name, arguments in re.findall(r"neocog_(\w+)_##level\(([^)]*)\)", header)
    }
    assert set(declared) == {"forward", "backward", "norm_forward", "norm_backward"}
    for name, count in declared.items():
        functions = getattr(library(), name)
        assert functions
        assert all(len(function.argtypes) == count for function in functions.values())


def body_of(name: str) -> str:
    """What stands between the braces of a structure in the header."""
    header = re.sub(r"//.*", "", HEADER.read_text(encoding="utf-8"))
    (body,) = re.findall(rf"typedef struct \{{([^}}]*)\}} {name};", header)
    return str(body)


def test_the_results_of_a_call_are_numbered_as_in_the_header() -> None:
    (written,) = re.findall(r"enum \{([^}]*)\}", HEADER.read_text(encoding="utf-8"))
    numbers = {name: int(value) for name, value in re.findall(r"NEOCOG_(\w+) = (\d+)", written)}
    assert numbers == {"OK": module.OK, "NO_MEMORY": module.NO_MEMORY, "BAD_SHAPE": module.BAD_SHAPE}


def test_without_the_library_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    found = load(tmp_path / "missing.so")
    assert not found.forward
    assert not found.processor
    if sys.platform == "linux":
        assert "needs a C++ compiler (g++ or clang++), and installing neocog again" in str(found.problem)


def test_on_another_processor_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert load(tmp_path / "missing.so").problem == "the blocks are written for x86-64 processors; this one is aarch64"


def test_a_file_that_cannot_be_loaded_is_no_error_but_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / PATH.name
    broken.write_bytes(b"no library")
    found = load(broken)
    assert not found.forward
    assert "cannot be loaded" in str(found.problem)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, neocog.kernels, neocog.kernels.library, neocog.kernels.level; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@on_linux
def test_the_blocks_threads_are_those_of_torchs_own_openmp_runtime() -> None:
    runtime = openmp()
    assert runtime is not None
    assert "omp" in Path(runtime.path).name
    if not library().forward:
        pytest.skip(library().problem or "no level was compiled")
    code = """
import torch
from neocog.kernels.block import fused_conv
from neocog.kernels.level import level_for
from neocog.kernels.library import openmp
def runtimes(): return {line.split()[-1] for line in open("/proc/self/maps") if "omp" in line.split("/")[-1]}
torch.ones(1000, 1000) @ torch.ones(1000, 1000)
before = runtimes()
level = level_for(False)
if level:
    x, weight = torch.ones(64, 8, 16, 16), torch.ones(16, 8, 3, 3, requires_grad=True)
    fused_conv(x, weight, None, padding=1, pool=True, relu=True, level=level, threads=2).sum().backward()
assert runtimes() == before
assert openmp().path in before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
