"""What the benchmarks share: networks, contenders in processes of their own, the machine, tables, files of figures."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import nn

import neocog
from neocog.kernels.level import available
from neocog.models import NotationNetwork
from neocog.recipe import Recipe
from neocog.reproduction.results import this_machine
from neocog.training.hardware import Hardware, hardware, resolve

CLASSES = 10
# What neocog.build takes, and the shape of one image.
NETWORKS: dict[str, tuple[str, tuple[int, int, int]]] = {
    "A": (
        "conv 32 3x3 same | relu | maxpool 2 | conv 64 3x3 same | relu | maxpool 2 | flatten | linear 10",
        (1, 28, 28),
    ),
    "bootcamp-cnn2": ("bootcamp-cnn2", (1, 28, 28)),
    "lenet5": ("lenet5", (1, 28, 28)),
    "resnet18": ("resnet18", (3, 32, 32)),
}
_STARTING_SECONDS = 120
# Threads that wait for work spin for a while before they sleep; they must not meet the next contender.
_PAUSE_SECONDS = 0.02


class ContenderError(Exception):
    """A contender could not do what it was asked; the text says why."""


class Contender:
    """An object in a process of its own, made by `worker(*arguments)` there, whose methods are called from here."""

    def __init__(self, name: str, worker: Callable[..., Any], *arguments: Any) -> None:
        self.name, self._worker, self._arguments = name, worker, arguments
        self._process: multiprocessing.process.BaseProcess | None = None

    def call(self, method: str, *arguments: Any, limit: float | None = None) -> Any:
        """Give what the method gives; raise `ContenderError` where it raises, or takes longer than `limit` seconds.

        A process that failed is ended; the next call starts a new one.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send((method, arguments))
            return self._answer(limit)
        except ContenderError:
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        processes = multiprocessing.get_context("spawn")
        self._connection, end = processes.Pipe()
        self._process = processes.Process(target=_serve, args=(end, self._worker, self._arguments), daemon=True)
        self._process.start()
        end.close()
        try:
            self._answer(_STARTING_SECONDS)
        except ContenderError:
            self.close()
            raise

    def _answer(self, limit: float | None) -> Any:
        if not self._connection.poll(limit):
            raise ContenderError(f"it took longer than {limit:g} seconds")
        try:
            good, answer = self._connection.recv()
        except EOFError:
            raise ContenderError("its process ended") from None
        if not good:
            raise ContenderError(answer)
        return answer


def _serve(connection: Connection, worker: Callable[..., Any], arguments: Sequence[Any]) -> None:
    try:
        made = worker(*arguments)
        connection.send((True, None))
        while True:
            method, given = connection.recv()
            connection.send((True, getattr(made, method)(*given)))
    except EOFError:
        pass
    except Exception as error:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        connection.send((False, f"{type(error).__name__}: {text}"))


def in_turns(
    contenders: Sequence[Contender], rounds: int, call: Callable[[Contender], Any]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Call each contender once a round; give the answers of each, and why those that failed did."""
    answers: dict[str, list[Any]] = {contender.name: [] for contender in contenders}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for contender in contenders:
            if contender.name not in failed:
                try:
                    answers[contender.name].append(call(contender))
                except ContenderError as error:
                    failed[contender.name] = str(error)
                    del answers[contender.name]
                time.sleep(_PAUSE_SECONDS)
    return answers, failed


def build(network: str, seed: int = 0) -> nn.Module:
    """Build a network as neocog does."""
    text, shape = NETWORKS[network]
    return neocog.build(text, shape, CLASSES, seed=seed)


def stock(network: nn.Module) -> nn.Module:
    """Give the network without anything of neocog's: PyTorch's own layers, one after the other as they are written."""
    if isinstance(network, NotationNetwork):
        return nn.Sequential(OrderedDict(network.named_children()))
    return neocog.fuse(network, kernels="off")


def neocog_hardware(network: nn.Module, **train: str) -> Hardware:
    """Give what neocog chooses on this machine's CPU for a network, with keys of [train]; `RecipeError` where none."""
    recipe = Recipe().with_values({"train.device": "cpu", **{f"train.{key}": value for key, value in train.items()}})
    return hardware(recipe.with_values(resolve(recipe.train, network)).train)


def stock_hardware(*, bfloat16: bool = False, channels_last: bool = False, threads: int | None = None) -> Hardware:
    """Give a CPU with PyTorch's own kernels."""
    return Hardware(torch.device("cpu"), bfloat16, channels_last, threads or torch.get_num_threads(), "off")


def machine() -> dict[str, Any]:
    """Describe the machine and the versions: no host name, no path."""
    variables = ("OMP_", "GOMP_", "KMP_", "MKL_", "ATEN_", "ONEDNN_", "NEOCOG_KERNELS")
    return this_machine().model_dump() | {
        "torch": torch.__version__,
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "levels": list(available()),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(variables)},
    }


def gflops(dtype: torch.dtype, size: int, repeats: int = 5) -> float:
    """Measure the matrix peak: the fastest of a few products of square matrices, in 10^9 operations a second."""
    a, b = (torch.rand(size, size).to(dtype) for _ in range(2))
    torch.mm(a, b)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - begun)
    return 2 * size**3 / min(times) / 1e9


def bfloat16_is_fast() -> bool:
    """Whether this CPU computes in bfloat16 by itself, and does not emulate it."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def quantile(values: Sequence[float], fraction: float) -> float:
    """Give the value below which a fraction of the values lie."""
    return sorted(values)[min(len(values) - 1, int(fraction * len(values)))]


def median_ratio(times: Sequence[float], base: Sequence[float] | None) -> float | None:
    """Give how many times as fast as `base` it is, by the medians; None where there is no base."""
    return statistics.median(base) / statistics.median(times) if base else None


def print_machine(described: dict[str, Any]) -> None:
    """Print the machine in one line."""
    levels = ", ".join(described["levels"]) or "none"
    print(
        f"{described['processor']}, {described['cores']} cores, {described['threads']} threads, "
        f"torch {described['torch']}, neocog {described['neocog']}, levels of the fused blocks: {levels}",
        flush=True,
    )


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> None:
    """Print columns of fixed width, the first one to the left; the last one may be text, to the left too."""
    lines = [heads, *rows]
    longest = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    longest = [max(pair) for pair in zip(longest, widths, strict=True)] if widths else longest
    for line in lines:
        first, *middle, last = line
        cells = [first.ljust(longest[0]), *(cell.rjust(size) for cell, size in zip(middle, longest[1:-1], strict=True))]
        print("  ".join([*cells, last]).rstrip(), flush=True)


def number(value: float | None, text: str = ",.0f", unit: str = "") -> str:
    """Write a number, or nothing where there is none."""
    return "" if value is None else f"{value:{text}}{unit}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, metavar="PATH", help="write the figures and the machine to this file")
    made.add_argument("--quick", action="store_true", help="a trial of some seconds; its figures say little")
    return made


def write(path: Path | None, benchmark: str, settings: dict[str, Any], found: dict[str, Any]) -> None:
    """Write the figures as JSON, where that is asked for."""
    if path is not None:
        content = {"benchmark": benchmark, "machine": machine(), "settings": settings, **found}
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
