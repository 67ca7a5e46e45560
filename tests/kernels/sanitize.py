"""Compile driver.cpp with the fused blocks under sanitizers and run it: what `make sanitize` does.

    python tests/kernels/sanitize.py [--shapes N]

AddressSanitizer and UndefinedBehaviorSanitizer watch one program, ThreadSanitizer the other. Only the standard library
and a C++ compiler (CXX, or c++) are needed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "src" / "neocog" / "kernels" / "source"
MEMORY = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREADS = ("-fsanitize=thread",)


class CompilerError(Exception):
    """What the compiler said."""


def compile_driver(folder: Path, sanitizer: Sequence[str], *, optimize: str = "-O1") -> Path:
    """Compile the driver and the objects of the library into `folder`, and give the program."""
    settings = tomllib.loads((SOURCE / "objects.toml").read_text(encoding="utf-8"))
    objects = {"driver": (HERE / "driver.cpp", [])}
    for name, item in settings["object"].items():
        flags = [flag for flag in item["flags"] if "amx" not in flag and "bf16" not in flag]
        # A sanitizer does not see what AMX reads and writes, and few processors have it: its tiles are loops here.
        objects[name] = SOURCE / item["source"], [*flags, *(["-DNEOCOG_EMULATE_AMX"] if name == "amx" else [])]
    common = [*settings["flags"], optimize, "-g1", *sanitizer, f"-I{SOURCE}"]

    def compile_one(name: str) -> str:
        source, flags = objects[name]
        made = str(folder / f"{name}.o")
        _compiler(*common, *flags, "-c", str(source), "-o", made)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(compile_one, objects))
    program = folder / "driver"
    _compiler(*sanitizer, *made, "-pthread", "-o", str(program))
    return program


def lacking(folder: Path, sanitizer: Sequence[str]) -> str | None:
    """Say why nothing can be compiled and run with a sanitizer here; None where it can."""
    empty = folder / "empty.cpp"
    empty.write_text("int main() { return 0; }\n")
    try:
        _compiler(*sanitizer, str(empty), "-o", str(folder / "empty"))
    except CompilerError as error:
        return f"no program can be compiled with {' '.join(sanitizer)}: {error}"
    done = subprocess.run([folder / "empty"], capture_output=True, text=True, check=False)
    return f"{' '.join(sanitizer)} does not run: {done.stderr}" if done.returncode else None


def _compiler(*arguments: str) -> None:
    command = [*shlex.split(os.environ.get("CXX", "c++")), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompilerError(str(error)) from error
    if done.returncode:
        raise CompilerError(f"{shlex.join(command)}\n{done.stderr}")


def main() -> int:
    """Run both programs; 0 where neither found anything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=int, default=1000, help="how many for each level; a tenth for the threads")
    shapes = parser.parse_args().shapes
    status = 0
    for sanitizer, count in ((MEMORY, shapes), (THREADS, max(1, shapes // 10))):
        print(" ".join(sanitizer), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            why = lacking(Path(folder), sanitizer)
            if why:
                print(f"left out: {why}")
                continue
            program = compile_driver(Path(folder), sanitizer)
            status |= subprocess.run([program, str(count)], check=False).returncode != 0
    return status


if __name__ == "__main__":
    sys.exit(main())
