"""`neocog doctor`: what this machine has, what neocog makes of it, whether it computes rightly, and how fast."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from neocog.printing import err, say

if TYPE_CHECKING:
    from neocog.kernels.plan import Kernels
    from neocog.training.hardware import Hardware

NETWORK = "conv 32 3x3 same | relu | maxpool 2 | conv 64 3x3 same | relu | maxpool 2 | flatten | linear 10"
INPUT, BATCH = (1, 28, 28), 128
# "quota period" in microseconds, or "max period" where there is no limit
CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")

_SECONDS, _ROUNDS = 4.0, 15
_VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "OMP_THREAD_LIMIT"),
    *("GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT", "KMP_AFFINITY", "KMP_BLOCKTIME", "MKL_NUM_THREADS"),
)


def doctor() -> None:
    """Say how neocog runs on this machine: kernels, threads, a self-test, and images per second of a short trial."""
    from neocog.kernels.level import reason

    # first of all, as it refuses what NEOCOG_KERNELS cannot mean
    kernels = reason()
    _print("versions", _versions())
    _print("processor", _processor())
    _print("kernels", kernels)
    passed = _print_selftest()
    _print("threads", _threads())
    _print("memory", _memory())
    _print("device", _device())
    _print("trial", _trial())
    for hint in _hints():
        say(f"note: {hint}")
    if not passed:
        err.print(
            "The self-test failed: the fused blocks compute wrongly here. Switch them off with NEOCOG_KERNELS=off, "
            "and tell us what stands above.",
            style="red",
            markup=False,
        )
        raise typer.Exit(1)


def _print(name: str, text: str) -> None:
    say(f"{name:<10} {text}")


def _versions() -> str:
    import torch

    from neocog import __version__

    system = f"{platform.system()} {platform.machine()}"
    return f"neocog {__version__}, torch {torch.__version__}, Python {platform.python_version()}, {system}"


def _processor() -> str:
    from neocog.kernels.level import NAMES
    from neocog.kernels.library import LEVELS, library
    from neocog.reproduction.results import this_machine

    machine = this_machine()
    able = [NAMES[level] for level in reversed(LEVELS) if level in library().processor]
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    return f"{machine.processor}, {cores}{', ' if able else ''}{', '.join(able)}"


def _print_selftest() -> bool:
    """Print a line for each level that this machine can run; tell whether all are right."""
    import torch

    from neocog.kernels.level import available
    from neocog.kernels.selftest import selftest

    passed = True
    for level in available():
        checks = selftest(level, threads=torch.get_num_threads())
        failed = [check for check in checks if not check.passed]
        worst = max(check.error for check in checks)
        found = f"{level} is right in {len(checks)} results, largest error {worst:.1e}"
        if failed:
            first = failed[0]
            found = f"{level} FAILED in {len(failed)} of {len(checks)} results: {first.name}, error {first.error:.1e}"
        _print("self-test", found)
        passed = passed and not failed
    if not available():
        _print("self-test", "nothing to test")
    return passed


def _threads() -> str:
    import torch

    from neocog.kernels.library import openmp

    runtime = openmp()
    name = f"OpenMP of {Path(runtime.path).name}" if runtime else "no OpenMP runtime; blocks run on one thread"
    settings = [f"{variable}={os.environ[variable]}" for variable in _VARIABLES if variable in os.environ]
    return ", ".join([str(torch.get_num_threads()), name, *settings])


def _memory() -> str:
    preloaded = [Path(path).name for path in os.environ.get("LD_PRELOAD", "").split() if "malloc" in path]
    if preloaded:
        return f"{', '.join(preloaded)} (LD_PRELOAD)"
    if platform.libc_ver()[0] == "glibc":
        return "glibc; a training on the CPU keeps freed memory for its next step"
    return "the allocator of the system, as it is"


def _device() -> str:
    import torch

    hardware = _hardware("auto", "auto")
    name = f" ({torch.cuda.get_device_name(hardware.device)})" if hardware.device.type == "cuda" else ""
    return f"{hardware}{name}"


def _hardware(device: str, kernels: Kernels) -> Hardware:
    """Resolve what a training of the trial's network would use."""
    from neocog.models import build
    from neocog.recipe import Recipe
    from neocog.training.hardware import hardware, resolve

    recipe = Recipe.load("default").with_values({"train.device": device, "train.kernels": kernels})
    network = build(NETWORK, INPUT, seed=0)
    return hardware(recipe.with_values(resolve(recipe.train, network)).train)


class Trial(NamedTuple):
    """Images per second of a training step with the fused blocks and without."""

    ours: float
    stock: float


def measure(ours: Hardware, stock: Hardware, seconds: float = _SECONDS) -> Trial:
    """Time steps of both in turn, so that what else the machine does hits both; medians."""
    steps = [_step(hardware) for hardware in (ours, stock)]
    times: list[list[float]] = [[], []]
    with ours.repeatable():
        for step in steps * 2:
            step()
        end = time.perf_counter() + seconds
        while len(times[0]) < 3 or (len(times[0]) < _ROUNDS and time.perf_counter() < end):
            for step, found in zip(steps, times, strict=True):
                started = time.perf_counter()
                for _ in range(3):
                    step()
                found.append((time.perf_counter() - started) / 3)
    return Trial(*(BATCH / statistics.median(found) for found in times))


def _step(hardware: Hardware) -> Callable[[], None]:
    """Make a function that does one step of training on random images."""
    import torch
    from torch import nn

    from neocog.models import build

    network = build(NETWORK, INPUT, seed=0)
    hardware.place(network)
    generator = torch.Generator().manual_seed(0)
    images = hardware.images(torch.rand(BATCH, *INPUT, generator=generator))
    labels = torch.randint(10, (BATCH,), generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step() -> None:
        with hardware.precision():
            loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _trial() -> str:
    ours, stock = _hardware("cpu", "auto"), _hardware("cpu", "off")
    found = measure(ours, stock)
    step = f"(training, {BATCH} images of {'x'.join(map(str, INPUT))} a step, on the CPU)"
    if ours.kernels == "off":
        return f"{found.stock:,.0f} images/s without fused blocks {step}"
    times = f"{found.ours / found.stock:.1f} times as fast"
    return f"{found.ours:,.0f} images/s with {ours.kernels} blocks, {found.stock:,.0f} without: {times} {step}"


def _hints() -> Iterator[str]:
    """Give what the user could change."""
    import torch

    from neocog.kernels.library import PATH, library

    threads, cores = torch.get_num_threads(), usable_cores()
    if threads > cores:
        yield f"{threads} threads share {cores:g} cores. Set OMP_NUM_THREADS={max(1, int(cores))}, or train.threads."
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > 1 and load > cores / 2 and "OMP_WAIT_POLICY" not in os.environ:
        yield (
            f"other programs keep the cores busy (load {load:.1f}). With OMP_WAIT_POLICY=PASSIVE threads that wait "
            "leave them the cores, which makes both faster."
        )
    sources = PATH.with_name("source").iterdir()
    editable = library().forward and (PATH.parents[3] / "setup.py").exists()
    if editable and max(path.stat().st_mtime for path in sources) > PATH.stat().st_mtime:
        yield "the C++ sources are newer than what was compiled from them. Install neocog again."


def usable_cores() -> float:
    """Give the number of cores this process may use: by its affinity, and by the limit of its container."""
    from neocog.reproduction.results import this_machine

    cores = float(this_machine().cores)
    if CONTAINER_LIMIT.is_file():
        quota, period = CONTAINER_LIMIT.read_text().split()[:2]
        cores = cores if quota == "max" else min(cores, int(quota) / int(period))
    return cores
