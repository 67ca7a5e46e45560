"""Images per second of a whole training step: PyTorch's ways on a CPU and neocog's fused blocks, side by side.

A step is the forward pass, cross entropy, the backward pass and Adam, on images that lie in memory as floats. Each
contender has a process of its own with the same threads and the same setting of the allocator (glibc keeps freed memory
for the next step: neocog's setting, without which PyTorch's own layers are slower), and they take turns; what is
printed are medians over the rounds and ratios of medians. The share of the matrix peak counts a forward pass three
times, less the gradient of the images, which nobody needs; the peak is the fastest of five products of 2048 x 2048
matrices, in float32 or for bfloat16 contenders in bfloat16, measured before each table. Blocks leave out products
with zeros, so that their share is one of the arithmetic that is written, not of what is done.

    python benchmarks/training_step.py [--json PATH] [--networks A lenet5] [--batch-sizes 128 512] [--rounds 15]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from typing import Any

import torch
from common import (
    CLASSES,
    NETWORKS,
    Contender,
    ContenderError,
    bfloat16_is_fast,
    build,
    gflops,
    in_turns,
    machine,
    median_ratio,
    neocog_hardware,
    number,
    parser,
    print_machine,
    print_table,
    stock,
    stock_hardware,
    write,
)
from torch import nn
from torch.nn import functional as F

from neocog import summarize
from neocog.kernels.fuse import fused_layers
from neocog.kernels.level import available
from neocog.kernels.library import LEVELS
from neocog.recipe import TrainSettings
from neocog.training.hardware import Hardware
from neocog.training.optimizers import build_optimizer

STOCK = {
    "eager": "float32, NCHW, layer by layer",
    "channels-last": "float32, channels_last",
    "bf16": "bfloat16 autocast, channels_last",
    "compile": "torch.compile, float32, channels_last",
}
OURS = ("neocog", *(f"neocog-{level}" for level in LEVELS))
BEST_PRACTICE = "bf16"
COMPILE_SECONDS = 180.0


class Step:
    """A contender: one network at a time, and the step that trains it."""

    def __init__(self, contender: str) -> None:
        self.contender = contender
        self.setting = contextlib.ExitStack()

    def prepare(self, name: str, batch_size: int) -> tuple[str, float]:
        """Build and warm up; give where it runs and about how many seconds a step takes."""
        network = build(name)
        ours = self.contender in OURS
        self.network = network if ours else stock(network)
        self.hardware = self._hardware(network)
        self.hardware.place(self.network)
        self.setting.close()
        self.setting.enter_context(self.hardware.repeatable())
        if ours:
            self.optimizer = build_optimizer(network.parameters(), TrainSettings(optimizer="adam", lr=1e-3))
        else:
            self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        if self.contender == "compile":
            torch._dynamo.reset()
            self.network = torch.compile(self.network)
        generator = torch.Generator().manual_seed(0)
        shape = NETWORKS[name][1]
        self.images = self.hardware.images(torch.rand(batch_size, *shape, generator=generator))
        self.labels = torch.randint(CLASSES, (batch_size,), generator=generator)
        self.turn(2)
        return str(self.hardware), self.turn(1)

    def turn(self, steps: int) -> float:
        """Do some steps; give the seconds of one."""
        begun = time.perf_counter()
        for _ in range(steps):
            self._step()
        return (time.perf_counter() - begun) / steps

    def _step(self) -> None:
        self.optimizer.zero_grad()
        with self.hardware.precision():
            loss = F.cross_entropy(self.network(self.images), self.labels)
        loss.backward()
        self.optimizer.step()

    def _hardware(self, network: nn.Module) -> Hardware:
        if self.contender == "neocog":
            return neocog_hardware(network)
        if self.contender in OURS:
            return neocog_hardware(network, kernels=self.contender.removeprefix("neocog-"))
        return stock_hardware(bfloat16=self.contender == "bf16", channels_last=self.contender != "eager")


def reason_to_skip(contender: str, network: str) -> str | None:
    """Say why a contender has no place in the table of a network; None where it has."""
    level = contender.removeprefix("neocog-") if contender.startswith("neocog-") else None
    if level is None:
        return None
    if level not in available():
        return "this machine cannot run it"
    model = build(network)
    if not fused_layers(model):
        return "none of its layers run as fused blocks"
    return "what neocog chooses by itself" if neocog_hardware(model).kernels == level else None


def step_flop(network: str, batch_size: int) -> int:
    """Give the operations of a step by the multiply-accumulates of convolutions and linear layers."""
    text, shape = NETWORKS[network]
    macs = [row.macs for row in summarize(text, shape, CLASSES).rows if row.macs]
    return 2 * (3 * sum(macs) - macs[0]) * batch_size


def compare(network: str, batch_size: int, contenders: list[Contender], options: argparse.Namespace) -> dict[str, Any]:
    """Measure one network with one batch size."""
    bfloat16 = any("bf16" in contender.name or "neocog" in contender.name for contender in contenders)
    size = 512 if options.quick else 2048
    peak = {"float32": gflops(torch.float32, size)}
    if bfloat16 and bfloat16_is_fast():
        peak["bfloat16"] = gflops(torch.bfloat16, size)
    skipped: dict[str, str] = {}
    places: dict[str, str] = {}
    steps: dict[str, int] = {}
    for contender in contenders:
        try:
            why = reason_to_skip(contender.name, network)
            if why is not None:
                raise ContenderError(why)
            limit = COMPILE_SECONDS if contender.name == "compile" else None
            place, seconds = contender.call("prepare", network, batch_size, limit=limit)
            places[contender.name], steps[contender.name] = place, max(1, round(options.turn / seconds))
        except ContenderError as error:
            skipped[contender.name] = str(error)
    ready = [contender for contender in contenders if contender.name in places]
    times, failed = in_turns(ready, options.rounds, lambda contender: contender.call("turn", steps[contender.name]))
    skipped |= failed
    found: dict[str, Any] = {
        "network": network,
        "notation": NETWORKS[network][0],
        "input_shape": list(NETWORKS[network][1]),
        "batch_size": batch_size,
        "step_flop": step_flop(network, batch_size),
        "peak_gflops": peak,
    }
    lines = [_line(name.name, times, places, found, skipped) for name in contenders]
    return found | {"contenders": lines}


def _line(
    name: str, times: dict[str, list[float]], places: dict[str, str], found: dict[str, Any], skipped: dict[str, str]
) -> dict[str, Any]:
    if name in skipped:
        return {"contender": name, "skipped": skipped[name]}
    fastest = min((times[key] for key in STOCK if key in times), key=statistics.median, default=None)
    median = statistics.median(times[name])
    peak = found["peak_gflops"].get("bfloat16" if "bfloat16" in places[name] else "float32")
    return {
        "contender": name,
        "place": places[name],
        "seconds": times[name],
        "images_per_second": found["batch_size"] / median,
        "ratio_to_eager": median_ratio(times[name], times.get("eager")),
        "ratio_to_bf16": median_ratio(times[name], times.get(BEST_PRACTICE)),
        "ratio_to_fastest_stock": median_ratio(times[name], fastest),
        "fraction_of_peak": found["step_flop"] / median / 1e9 / peak if peak else None,
    }


def print_result(found: dict[str, Any]) -> None:
    """Print the table of one network and batch size."""
    peaks = ", ".join(f"{value:,.0f} GFLOP/s in {name}" for name, value in found["peak_gflops"].items())
    flop = found["step_flop"] / found["batch_size"] / 1e6
    print(f"\n{found['network']}, batch {found['batch_size']}: {flop:,.1f} MFLOP an image; matrix peak {peaks}")
    rows = []
    for line in found["contenders"]:
        if "skipped" in line:
            rows.append([line["contender"], "", "", "", "", "", f"left out: {line['skipped']}"])
            continue
        ratios = [number(line[f"ratio_to_{base}"], ".2f", "x") for base in ("eager", "bf16", "fastest_stock")]
        share = number(line["fraction_of_peak"], ".0%")
        about = STOCK.get(line["contender"], line["place"])
        rows.append([line["contender"], number(line["images_per_second"]), *ratios, share, about])
    print_table(["contender", "images/s", "to eager", "to bf16", "to fastest stock", "of peak", ""], rows, WIDTHS)


WIDTHS = (13, 9, 8, 8, 16, 7, 0)


def main() -> None:
    """Print the tables."""
    arguments = parser(__doc__)
    everyone = [*STOCK, *OURS]
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS, metavar="NAME", help=", ".join(NETWORKS))
    arguments.add_argument("--batch-sizes", nargs="+", type=int, metavar="N", help="128 512 if not given")
    arguments.add_argument("--contenders", nargs="+", choices=everyone, metavar="NAME", help=", ".join(everyone))
    arguments.add_argument("--rounds", type=int, help="15 if not given")
    arguments.add_argument("--turn", type=float, help="seconds of a turn, at least a step; 0.4 if not given")
    options = arguments.parse_args()
    quick = options.quick
    options.networks = options.networks or (["A"] if quick else list(NETWORKS))
    options.batch_sizes = options.batch_sizes or ([32] if quick else [128, 512])
    options.rounds = options.rounds or (3 if quick else 15)
    options.turn = options.turn or (0.05 if quick else 0.4)
    # Compilation alone takes longer than a trial should.
    options.contenders = options.contenders or [name for name in everyone if not (quick and name == "compile")]
    described = machine()
    print_machine(described)
    print(f"a process each, median of {options.rounds} rounds in turns; allocator set for all to keep freed memory")
    if BEST_PRACTICE in options.contenders and not bfloat16_is_fast():
        print("this CPU has no bfloat16 instructions: bf16 is emulated here, and no best practice")
    contenders = [Contender(name, Step, name) for name in options.contenders]
    results = []
    for network in options.networks:
        for batch_size in options.batch_sizes:
            results.append(compare(network, batch_size, contenders, options))
            print_result(results[-1])
    for contender in contenders:
        contender.close()
    settings = {"rounds": options.rounds, "turn_seconds": options.turn, "bfloat16_is_emulated": not bfloat16_is_fast()}
    write(options.json, "training_step", settings, {"results": results})


if __name__ == "__main__":
    main()
