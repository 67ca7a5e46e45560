"""Installing with a compiler, with one that is too old, and with none."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from neocog.kernels.library import load

ROOT = Path(__file__).resolve().parents[1]
COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)

pytestmark = [
    pytest.mark.skipif(os.name != "posix" or platform.machine() != "x86_64", reason="nothing is compiled here"),
    pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the package is built from, in a folder of its own."""
    pytest.importorskip("setuptools.command.bdist_wheel")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "*.xz")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored)
    return tmp_path


def compiler(folder: Path, refused: str) -> str:
    """A compiler that does not know one flag; it does not optimise, which would take long."""
    script = folder / "compiler"
    script.write_text(f'#!/bin/sh\ncase "$*" in *{refused}*) exit 1;; esac\nexec {COMPILER} "$@" -O0\n')
    script.chmod(0o755)
    return str(script)


def setup(folder: Path, *arguments: str, cxx: str) -> str:
    command = [sys.executable, "setup.py", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"CXX": cxx}, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def test_a_level_whose_flags_the_compiler_does_not_know_is_left_out(copy: Path) -> None:
    said = setup(copy, "build_ext", "--inplace", cxx=compiler(copy, "-mamx-tile"))
    assert "built without amx" in said
    found = load(copy / "src/neocog/kernels/_blocks.so")
    assert found.problem is None
    assert set(found.forward) == {"avx512", "avx2"}


def test_without_a_compiler_the_package_is_built_all_the_same_and_no_older_library_stays(copy: Path) -> None:
    older = copy / "src/neocog/kernels/_blocks.so"
    older.write_bytes(b"older")
    said = setup(copy, "build_ext", "--inplace", cxx="no-such-compiler")
    assert 'building extension "neocog.kernels._blocks" failed' in said
    assert not older.exists()


def test_a_wheel_is_for_any_python_and_holds_the_library_and_its_sources(copy: Path) -> None:
    setup(copy, "bdist_wheel", cxx=compiler(copy, "-never"))
    (wheel,) = (copy / "dist").iterdir()
    assert "-py3-none-linux_" in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {f"neocog/kernels/source/{path.name}" for path in (copy / "src/neocog/kernels/source").iterdir()}
    assert sources | {"neocog/kernels/_blocks.so"} <= names
