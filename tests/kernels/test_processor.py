"""What processor.cpp says of this processor, against what the system says of it."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neocog.kernels import library

SOURCE = Path(library.__file__).parent / "source" / "processor.cpp"
COMPILER = shutil.which("g++") or shutil.which("clang++")
SYSTEM = Path("/proc/cpuinfo")

AVX2, AVX512, AMX = 1, 2, 4
NEEDED = {
    AVX2: {"avx2", "fma"},
    AVX512: {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
    AMX: {"amx_tile", "amx_bf16", "avx512_bf16"},
}

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp("processor") / "processor.so"
    command = [str(COMPILER), "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", str(SOURCE)]
    subprocess.run([*command, "-o", str(target)], check=True, timeout=120)
    return ctypes.CDLL(str(target))


def _flags() -> set[str]:
    lines = SYSTEM.read_text(encoding="utf-8").splitlines()
    return set(next(line for line in lines if line.startswith("flags")).partition(":")[2].split())


def _tiles_permitted() -> bool:
    """Ask Linux whether this process may use the tile registers (arch_prctl, ARCH_GET_XCOMP_PERM)."""
    arch_prctl, get_permission, tile_data = 158, 0x1022, 1 << 18
    granted = ctypes.c_uint64(0)
    status = ctypes.CDLL(None).syscall(arch_prctl, get_permission, ctypes.byref(granted))
    return status == 0 and bool(granted.value & tile_data)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="the levels are of x86-64")
@pytest.mark.skipif(not SYSTEM.exists(), reason="needs Linux")
def test_the_levels_are_those_that_the_system_lists(processor: ctypes.CDLL) -> None:
    found, flags = processor.neocog_processor(), _flags()
    for level in (AVX2, AVX512):
        assert bool(found & level) == (flags >= NEEDED[level])
    assert bool(found & AMX) == (flags >= NEEDED[AVX512] | NEEDED[AMX] and _tiles_permitted())


def test_a_level_comes_with_all_lower_ones(processor: ctypes.CDLL) -> None:
    assert processor.neocog_processor() in (0, AVX2, AVX2 | AVX512, AVX2 | AVX512 | AMX)


def test_threads_that_ask_at_once_get_the_same_answer(processor: ctypes.CDLL) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(lambda _: processor.neocog_processor(), range(200)))
    assert len(answers) == 1
