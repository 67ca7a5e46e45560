"""Compiles the fused CPU blocks where a C++ compiler and an x86-64 processor are there; all else is pyproject.toml.

Without them the package installs all the same and works with PyTorch's own kernels. `pip install --verbose` shows what
the compiler said.
"""

import os
import platform
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SOURCE = Path("src/neocog/kernels/source")


def find_compiler() -> list[str]:
    """The C++ compiler as the beginning of a command; raises `CompileError` where there is none."""
    if os.environ.get("CXX"):
        return shlex.split(os.environ["CXX"])
    for name in ("c++", "g++", "clang++"):
        if path := shutil.which(name):
            return [path]
    raise CompileError("no C++ compiler was found; neocog works without, more slowly on a CPU")


class BuildBlocks(build_ext):
    """Build one shared library of plain C functions, no Python module, each object with its own flags."""

    def run(self) -> None:
        """Build everything; where that fails, no library of older sources may stay beside the new ones."""
        if self.inplace:
            SOURCE.with_name("_blocks.so").unlink(missing_ok=True)
        super().run()

    def get_ext_filename(self, fullname: str) -> str:
        """Name it without the Python that built it: any other loads it as well."""
        return f"{Path(*fullname.split('.'))}.so"

    def build_extension(self, ext: Extension) -> None:
        """Compile and link; an object that the compiler cannot make is left out."""
        target, objects = Path(self.get_ext_fullpath(ext.name)), Path(self.build_temp)
        compiler, made = find_compiler(), []
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        objects.mkdir(parents=True, exist_ok=True)
        settings = tomllib.loads((SOURCE / "objects.toml").read_text(encoding="utf-8"))
        for name, item in settings["object"].items():
            made.append(objects / f"{name}.o")
            source = SOURCE / item["source"]
            command = [*compiler, *settings["flags"], *item["flags"], "-c", str(source), "-o", str(made[-1])]
            if not self._succeeds(command):
                self.warn(f"the fused blocks are built without {name}: the compiler did not make it")
                del made[-1]
        if not self._succeeds([*compiler, "-shared", *map(str, made), "-o", str(target)]):
            raise CompileError("the fused blocks could not be linked")

    def _succeeds(self, command: list[str]) -> bool:
        print(shlex.join(command), flush=True)
        try:
            return subprocess.run(command, check=False).returncode == 0
        except OSError as error:
            print(error, flush=True)
            return False


class Wheel(bdist_wheel):
    """A wheel for a platform and any Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """Give the tag of Python, of its ABI and of the platform."""
        python, abi, platform_tag = super().get_tag()
        return ("py3", "none", platform_tag) if not self.root_is_pure else (python, abi, platform_tag)


if __name__ == "__main__":
    able = os.name == "posix" and platform.machine().lower() in ("x86_64", "amd64")
    inputs = sorted(str(path) for path in SOURCE.iterdir())
    setup(
        ext_modules=[Extension("neocog.kernels._blocks", inputs, optional=True)] if able else [],
        cmdclass={"build_ext": BuildBlocks, "bdist_wheel": Wheel},
    )
