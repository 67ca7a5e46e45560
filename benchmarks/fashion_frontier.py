"""Fashion-MNIST: the test accuracy that a time of training buys, from a few seconds up.

Trains each network below for each number of epochs with the settings of the recipe `fashion-mnist`, one seed, and
prints seconds of training (validation left out), test accuracy and what no other point beats: more accurate in less
time. The validation images choose the epoch; nothing is chosen by the test set. A run that is there already is not
trained again.

    python benchmarks/fashion_frontier.py [--out runs/fashion-frontier] [--seed 0] [--point mlp:3 ...]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch

import neocog
from neocog.recipe import Recipe
from neocog.training.events import EpochDone, Event

NETWORKS = {
    "mlp": "mlp",
    "fashion-cnn": "fashion-cnn",
    "conv16-conv32": Recipe.load("mnist-quick").model.network,
    "conv16-conv32-conv64-conv128": Recipe.load("fashion-mnist").model.network,
}
POINTS = (
    *(("mlp", 3), ("fashion-cnn", 3), ("conv16-conv32", 1), ("conv16-conv32", 3), ("conv16-conv32", 8)),
    *(("conv16-conv32-conv64-conv128", 2), ("conv16-conv32-conv64-conv128", 4), ("conv16-conv32-conv64-conv128", 7)),
)


@dataclass
class Stopwatch:
    """A listener that adds up the seconds of training."""

    seconds: float = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            self.seconds += event.seconds


@dataclass(frozen=True)
class Point:
    """One training: its seconds and its accuracy on the 10,000 test images, 0 to 1."""

    network: str
    epochs: int
    parameters: int
    seconds: float
    accuracy: float


def measure(name: str, epochs: int, seed: int, out: Path) -> Point:
    """Train one network for some epochs, or read what an earlier call measured."""
    folder = out / f"{name}-{epochs}-seed-{seed}"
    file = folder / "seconds.json"
    if not file.exists():
        watch = Stopwatch()
        neocog.train("fashion-mnist", model=NETWORKS[name], epochs=epochs, seed=seed, out=folder, listeners=[watch])
        file.write_text(json.dumps(watch.seconds))
    metrics = neocog.Run(folder).metrics
    return Point(name, epochs, metrics["parameters"], json.loads(file.read_text()), metrics["test"]["accuracy"])


def beaten(point: Point, points: list[Point]) -> bool:
    """Whether another point is at least as accurate in less time."""
    return any(other.seconds < point.seconds and other.accuracy >= point.accuracy for other in points)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/fashion-frontier"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--point", nargs="*", help="NETWORK:EPOCHS, of: " + ", ".join(NETWORKS))
    arguments = parser.parse_args()
    chosen = [(name, int(epochs)) for name, _, epochs in (text.partition(":") for text in arguments.point or [])]
    points = [measure(name, epochs, arguments.seed, arguments.out) for name, epochs in chosen or POINTS]
    points.sort(key=lambda point: point.seconds)
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}, seed {arguments.seed}\n")
    print("| network | epochs | parameters | seconds | test accuracy | on the frontier |")
    print("|---|--:|--:|--:|--:|---|")
    for point in points:
        front = "" if beaten(point, points) else "yes"
        print(
            f"| {point.network} | {point.epochs} | {point.parameters:,} | {point.seconds:.0f} "
            f"| {100 * point.accuracy:.2f} % | {front} |"
        )


if __name__ == "__main__":
    main()
