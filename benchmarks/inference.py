"""Inference on a CPU: images per second and the latency of a single image, neocog against PyTorch and ONNX Runtime.

All contenders have the same weights and get the same float32 images (N, C, H, W) in the usual order of memory; what
they copy or convert is in their time. First of all their logits must agree with those in float64, to a ten-thousandth
of the largest one. Each has a process of its own and they take turns; printed are medians over the rounds, the median
and the 95th percentile of single calls for one image, and ratios of medians: how many times as fast as eager PyTorch
and as ONNX Runtime. `neocog-amx` computes in bfloat16, is held to a looser tolerance and takes part where the processor
has AMX.

    pip install onnx onnxruntime      # else ONNX Runtime is left out
    python benchmarks/inference.py [--json PATH] [--networks A resnet18] [--threads 2 1] [--rounds 9] [--compile]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import (
    CLASSES,
    NETWORKS,
    Contender,
    ContenderError,
    build,
    in_turns,
    machine,
    median_ratio,
    neocog_hardware,
    number,
    parser,
    print_machine,
    print_table,
    quantile,
    stock,
    stock_hardware,
    write,
)
from numpy.typing import NDArray
from torch import nn

from neocog.kernels.fuse import fused_layers
from neocog.kernels.level import available
from neocog.training.hardware import Hardware

ABOUT = {
    "eager": "PyTorch, NCHW",
    "channels-last": "PyTorch, channels_last",
    "compile": "torch.compile, channels_last",
    "onnxruntime": "ONNX Runtime",
    "neocog": "neocog, float32",
    "neocog-amx": "neocog, bfloat16 with AMX",
}
TOLERANCE = {"neocog-amx": 0.05}
COMPILE_SECONDS = 180.0
CHECKED = 64


class Model:
    """A contender: one network at a time, from images to logits."""

    def __init__(self, contender: str, threads: int) -> None:
        self.contender, self.threads = contender, threads
        self.setting = contextlib.ExitStack()
        self.setting.enter_context(torch.inference_mode())
        torch.set_num_threads(threads)

    def prepare(self, name: str, folder: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Load the weights, and give the logits of some images."""
        self.shape = images.shape[1:]
        if self.contender == "onnxruntime":
            self._load_onnx(folder)
        else:
            self._load_torch(name, folder)
        return np.asarray(self.run(self._input(images)))

    def warm_up(self, batch_size: int) -> None:
        """Run twice."""
        self._turn(batch_size, 2)

    def throughput(self, batch_size: int, seconds: float) -> float:
        """Run for some seconds; give those of one batch."""
        calls = max(1, round(seconds / self._turn(batch_size, 1)))
        return self._turn(batch_size, calls)

    def latency(self, seconds: float) -> list[float]:
        """Run single images for some seconds; give those of each."""
        image, times = self._random(1), []
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end or not times:
            self.run(image)
            times.append(time.perf_counter() - begun)
        return times

    def _turn(self, batch_size: int, calls: int) -> float:
        images = self._random(batch_size)
        begun = time.perf_counter()
        for _ in range(calls):
            self.run(images)
        return (time.perf_counter() - begun) / calls

    def _random(self, count: int) -> Any:
        return self._input(np.random.default_rng(0).random((count, *self.shape), np.float32))

    def _input(self, images: NDArray[np.float32]) -> Any:
        return images if self.contender == "onnxruntime" else torch.from_numpy(images)

    def _load_onnx(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        path = str(folder / "network.onnx")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.run = lambda images: session.run(None, {"images": images})[0]

    def _load_torch(self, name: str, folder: Path) -> None:
        network = build(name)
        network.load_state_dict(torch.load(folder / "weights.pt"))
        model = network if self.contender.startswith("neocog") else stock(network)
        if self.contender == "neocog":
            place = neocog_hardware(network, precision="float32")
        elif self.contender == "neocog-amx":
            place = neocog_hardware(network, kernels="amx")
        else:
            place = stock_hardware(channels_last=self.contender != "eager", threads=self.threads)
        place.place(model.eval())
        self.setting.enter_context(place.repeatable())
        if self.contender == "compile":
            torch._dynamo.reset()
            model = torch.compile(model, dynamic=False)

        if place.bfloat16:
            self.run = lambda images: _in_bfloat16(model, images, place)
        elif self.contender in ("channels-last", "compile"):
            self.run = lambda images: model(images.contiguous(memory_format=torch.channels_last))
        else:
            self.run = model


def _in_bfloat16(model: nn.Module, images: torch.Tensor, place: Hardware) -> torch.Tensor:
    with place.precision():
        return model(place.images(images)).float()


def export(name: str, folder: Path) -> NDArray[np.float32]:
    """Write the weights and the ONNX file of a network; give the logits in float64 of the images to check with."""
    network = build(name)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(256, *NETWORKS[name][1], generator=generator)
    with torch.no_grad():
        # Batch norm as after a training: its statistics are those of what comes in.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.5
        for _ in range(8):
            network(images)
    torch.save(network.state_dict(), folder / "weights.pt")
    model = stock(network).eval()
    if not _missing():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            axes = {"images": {0: "images"}, "logits": {0: "images"}}
            torch.onnx.export(
                model,
                (images[:2],),
                str(folder / "network.onnx"),
                dynamo=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes=axes,
            )
    with torch.inference_mode():
        return np.asarray(model.double()(torch.from_numpy(checked(name)).double()))


def checked(name: str) -> NDArray[np.float32]:
    """Give the images that all contenders have to agree on."""
    return np.random.default_rng(2).random((CHECKED, *NETWORKS[name][1]), np.float32)


def reason_to_skip(contender: str, network: str) -> str | None:
    """Say why a contender has no place in the table of a network; None where it has."""
    if contender == "onnxruntime" and (missing := _missing()):
        return f"not installed: {', '.join(missing)}"
    if contender == "neocog-amx" and "amx" not in available():
        return "this machine cannot run it"
    if contender == "neocog-amx" and not fused_layers(build(network)):
        return "none of its layers run as fused blocks"
    return None


def _missing() -> list[str]:
    return [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]


def compare(network: str, threads: int, contenders: list[Contender], options: argparse.Namespace) -> dict[str, Any]:
    """Measure one network on some threads."""
    skipped: dict[str, str] = {}
    errors: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        exact = export(network, folder)
        for contender in contenders:
            try:
                errors[contender.name] = _prepare(contender, network, folder, exact, options.batch_sizes)
            except ContenderError as error:
                skipped[contender.name] = str(error)
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE.get(name, 1e-4)]
    if wrong:
        sys.exit(f"{network}: the logits of {', '.join(wrong)} do not agree with float64: {errors}")
    ready = [contender for contender in contenders if contender.name in errors]
    batches: dict[int, dict[str, list[float]]] = {}
    for batch_size in options.batch_sizes:
        batches[batch_size], failed = in_turns(
            ready, options.rounds, lambda one, size=batch_size: one.call("throughput", size, options.turn)
        )
        skipped |= failed
    answers, failed = in_turns(ready, options.rounds, lambda one: one.call("latency", options.turn))
    skipped |= failed
    single = {name: [second for turn in turns for second in turn] for name, turns in answers.items()}
    lines = [_line(one.name, batches, single, errors, skipped) for one in contenders]
    shape = list(NETWORKS[network][1])
    return {"network": network, "input_shape": shape, "threads": threads, "contenders": lines}


def _prepare(
    contender: Contender, network: str, folder: Path, exact: NDArray[np.float32], batch_sizes: list[int]
) -> float:
    """Get a contender ready; give its largest error as a fraction of the largest logit."""
    why = reason_to_skip(contender.name, network)
    if why is not None:
        raise ContenderError(why)
    limit = COMPILE_SECONDS if contender.name == "compile" else None
    logits = contender.call("prepare", network, folder, checked(network), limit=limit)
    for batch_size in [*batch_sizes, 1]:
        contender.call("warm_up", batch_size, limit=limit)
    return float(np.abs(logits - exact).max() / np.abs(exact).max())


def _line(
    name: str,
    batches: dict[int, dict[str, list[float]]],
    single: dict[str, list[float]],
    errors: dict[str, float],
    skipped: dict[str, str],
) -> dict[str, Any]:
    if name in skipped:
        return {"contender": name, "skipped": skipped[name]}
    found = {
        str(size): {
            "seconds": times[name],
            "images_per_second": size / statistics.median(times[name]),
            "ratio_to_eager": median_ratio(times[name], times.get("eager")),
            "ratio_to_onnxruntime": median_ratio(times[name], times.get("onnxruntime")),
        }
        for size, times in batches.items()
    }
    latency = {
        "calls": len(single[name]),
        "median_seconds": statistics.median(single[name]),
        "p95_seconds": quantile(single[name], 0.95),
        "ratio_to_eager": median_ratio(single[name], single.get("eager")),
        "ratio_to_onnxruntime": median_ratio(single[name], single.get("onnxruntime")),
    }
    return {"contender": name, "largest_error": errors[name], "batches": found, "single_image": latency}


def print_result(found: dict[str, Any], batch_sizes: list[int]) -> None:
    """Print the table of one network."""
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    print(f"\n{found['network']}, {threads}")
    heads = ["contender"]
    for size in batch_sizes:
        heads += [f"images/s by {size}", "to eager", "to ORT"]
    heads += ["one image ms", "p95", "to eager", "to ORT", ""]
    rows = []
    for line in found["contenders"]:
        if "skipped" in line:
            rows.append([line["contender"], *[""] * (len(heads) - 2), f"left out: {line['skipped']}"])
            continue
        row = [line["contender"]]
        for size in batch_sizes:
            batch = line["batches"][str(size)]
            row += [number(batch["images_per_second"]), *_ratios(batch)]
        single = line["single_image"]
        row += [number(1e3 * single[f"{name}_seconds"], ".3f") for name in ("median", "p95")]
        rows.append([*row, *_ratios(single), ABOUT[line["contender"]]])
    print_table(heads, rows)


def _ratios(measured: dict[str, Any]) -> list[str]:
    return [number(measured[f"ratio_to_{base}"], ".2f", "x") for base in ("eager", "onnxruntime")]


def main() -> None:
    """Print the tables."""
    arguments = parser(__doc__)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    arguments.add_argument("--networks", nargs="+", choices=NETWORKS, metavar="NAME", help=", ".join(NETWORKS))
    arguments.add_argument("--batch-sizes", nargs="+", type=int, metavar="N", help="256 32 if not given")
    arguments.add_argument("--threads", nargs="+", type=int, metavar="N", help="all cores, then 1, if not given")
    arguments.add_argument("--contenders", nargs="+", choices=ABOUT, metavar="NAME", help=", ".join(ABOUT))
    arguments.add_argument("--compile", action="store_true", help="torch.compile takes part too")
    arguments.add_argument("--rounds", type=int, help="9 if not given")
    arguments.add_argument("--turn", type=float, help="seconds of a contender's turn; 0.3 if not given")
    options = arguments.parse_args()
    quick = options.quick
    options.networks = options.networks or (["A"] if quick else list(NETWORKS))
    options.batch_sizes = options.batch_sizes or ([16] if quick else [256, 32])
    options.threads = options.threads or ([1] if quick else sorted({cores, 1}, reverse=True))
    options.contenders = options.contenders or [name for name in ABOUT if options.compile or name != "compile"]
    options.rounds = options.rounds or (3 if quick else 9)
    options.turn = options.turn or (0.05 if quick else 0.3)
    print_machine(machine())
    print(f"the same weights, {CLASSES} classes; a process each, median of {options.rounds} rounds in turns")
    results = []
    for threads in options.threads:
        contenders = [Contender(name, Model, name, threads) for name in options.contenders]
        for network in options.networks:
            results.append(compare(network, threads, contenders, options))
            print_result(results[-1], options.batch_sizes)
        for contender in contenders:
            contender.close()
    settings = {"rounds": options.rounds, "turn_seconds": options.turn, "tolerance": 1e-4}
    write(options.json, "inference", settings, {"results": results})


if __name__ == "__main__":
    main()
