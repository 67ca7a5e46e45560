"""The fused blocks in a C++ program of their own, watched by sanitizers; `make sanitize` does more of it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest
from tests.kernels.sanitize import MEMORY, compile_driver, lacking


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="the blocks are for x86-64")
def test_no_block_reads_or_writes_beyond_its_arrays_and_all_give_what_the_definition_does(tmp_path: Path) -> None:
    why = lacking(tmp_path, MEMORY)
    if why:
        pytest.skip(why)
    program = compile_driver(tmp_path, MEMORY, optimize="-O0")
    done = subprocess.run([program, "25"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
