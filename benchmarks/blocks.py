"""One convolution block after the other: neocog's against PyTorch's layers, forward and backward, in turns.

What `pays` in src/neocog/kernels/plan.py decides by. Images lie in channels_last for both, the relu comes after the
pooling for both, and both get the allocator's settings of a training.

    python benchmarks/blocks.py [--rounds 9] [--batch-size 128] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from neocog.kernels.block import fused_conv
from neocog.kernels.level import Level, level_for
from neocog.training.hardware import _keep_freed_memory

# (in channels, side, out channels, kernel, padding, pool, relu)
SHAPES = [
    (1, 28, 32, 3, 1, True, True),
    (1, 28, 6, 5, 2, True, True),
    (3, 32, 32, 3, 1, True, True),
    (6, 14, 16, 5, 0, True, True),
    (32, 14, 64, 3, 1, True, True),
    (64, 7, 128, 3, 1, True, True),
    (16, 14, 32, 3, 1, False, True),
    (16, 28, 16, 3, 1, False, False),
    (32, 14, 32, 3, 1, False, False),
    (64, 14, 64, 3, 1, False, False),
    (64, 8, 64, 3, 1, False, False),
    (128, 7, 128, 3, 1, False, False),
    (128, 4, 128, 3, 1, False, False),
]


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(
    shape: tuple[int, int, int, int, int, bool, bool], batch: int, rounds: int, level: Level
) -> dict[str, float]:
    """Median microseconds an image of a step (forward and backward), both ways."""
    channels, side, outs, kernel, padding, pool, relu = shape
    conv = nn.Conv2d(channels, outs, kernel, padding=padding).to(memory_format=torch.channels_last)
    images = torch.randn(batch, channels, side, side).relu().to(memory_format=torch.channels_last)
    images.requires_grad_(channels > 3)
    after = nn.Sequential(*([nn.MaxPool2d(2)] if pool else []), *([nn.ReLU()] if relu else []))

    def ours() -> torch.Tensor:
        threads = torch.get_num_threads()
        return fused_conv(
            images, conv.weight, conv.bias, padding=padding, pool=pool, relu=relu, level=level, threads=threads
        )

    gradient = torch.randn_like(ours())
    taken: dict[str, list[float]] = {"neocog": [], "pytorch": []}
    for _ in range(rounds + 1):
        for name, forward in (("neocog", ours), ("pytorch", lambda: after(conv(images)))):
            taken[name].append(seconds(lambda forward=forward: forward().backward(gradient)))
    return {name: statistics.median(times[1:]) / batch * 1e6 for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    level = level_for(bfloat16=False)
    if level is None:
        raise SystemExit("no level of the fused blocks runs here: see neocog doctor")
    _keep_freed_memory()
    rows = []
    print(f"{level}, {torch.get_num_threads()} threads, batch {options.batch_size}; microseconds an image")
    print(f"{'block':36}{'neocog':>9}{'PyTorch':>9}{'ratio':>8}")
    for shape in SHAPES:
        channels, side, outs, kernel, padding, pool, relu = shape
        name = f"{channels}x{side}x{side} conv {outs} {kernel}x{kernel} pad {padding}"
        name += f"{' relu' if relu else ''}{' pool' if pool else ''}"
        row = measure(shape, options.batch_size, options.rounds, level)
        rows.append({"block": name, **row, "ratio": row["pytorch"] / row["neocog"]})
        print(f"{name:36}{row['neocog']:9.1f}{row['pytorch']:9.1f}{row['pytorch'] / row['neocog']:7.2f}x", flush=True)
    if options.json:
        options.json.write_text(
            json.dumps({"level": level, "batch_size": options.batch_size, "blocks": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
