"""Accuracy against the number of training images: features of an ImageNet network, or a small CNN from scratch.

For each number of images a class, MNIST images are drawn and written as files; both ways get the same files and are
judged by the same test images, which choose nothing. Extraction: the images enlarged, features of efficientnet-lite0
without its head, multinomial logistic regression. From scratch: the recipe mnist-quick, with as many epochs as it takes
to make about the same number of steps, the weights of the last epoch.

    python benchmarks/learning_curve.py [--sizes 10 100 1000] [--seeds 3] [--test 2000] [--image-size 96]
        [--json FILE] [--figure FILE.png] [--quick]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from PIL import Image

import neocog as nc
from neocog.data import ImageSet, load
from neocog.recipe import DataSettings
from neocog.transfer.probe import fit_head, interval
from neocog.transfer.trunk import load_trunk

WAYS = {"extraction": "features of efficientnet-lite0", "scratch": "a small CNN from scratch"}
STEPS, BATCH = 1_500, 32


def drawn(images: ImageSet, per_class: int, seed: int) -> ImageSet:
    """The first `per_class` images of each class in the order of `seed`: smaller draws lie within larger ones."""
    order = np.random.default_rng(seed).permutation(len(images))
    labels = images.labels.numpy()[order]
    rows = [order[labels == label][:per_class] for label in range(len(images.classes))]
    return images.subset(np.sort(np.concatenate(rows)))


def write(folder: Path, parts: dict[str, ImageSet]) -> Path:
    """Write the images of each part as PNG files, and the CSV that lists them."""
    table = folder / "images.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for part, images in parts.items():
            for number, (pixels, label) in enumerate(zip(images.images.numpy(), images.labels.tolist(), strict=True)):
                name = f"{part}-{number}.png"
                Image.fromarray(pixels[0]).save(folder / name)
                writer.writerow([name, images.classes[label], part])
    return table


def extraction(table: Path, side: int, cached: dict[str, torch.Tensor]) -> int:
    """Right answers of a head on features of the enlarged images."""
    data = load(DataSettings(source=str(table), image_size=(side, side), channels=3, validation="test"))
    trunk = load_trunk(image_size=(side, side))
    if "test" not in cached:
        cached["test"] = trunk.features(data.test.images)
    head = fit_head(trunk.features(data.train.images).numpy(), data.train.labels.numpy(), len(data.classes))
    return int((head.logits(cached["test"].numpy()).argmax(1) == data.test.labels.numpy()).sum())


def scratch(table: Path, images: int, seed: int, folder: Path) -> int:
    """Right answers of a small CNN that begins with random weights."""
    epochs = max(4, round(STEPS * BATCH / images))
    run = nc.train(
        table,
        recipe="mnist-quick",
        out=folder / "run",
        progress=False,
        **{"validation": "test", "keep": "last", "epochs": epochs, "batch_size": BATCH, "lr": 3e-3, "seed": seed},
    )
    data = load(DataSettings(source=str(table), image_size=(28, 28), channels=1, validation="test"))
    return run.classifier().evaluate(data.test).correct


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    data = load(DataSettings(source="mnist"))
    test = drawn(data.test, arguments.test // len(data.classes), seed=0)
    right: dict[tuple[str, int], list[int]] = {}
    cached: dict[str, torch.Tensor] = {}
    for seed in range(arguments.seeds):
        for size in arguments.sizes:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                train = drawn(data.train, size, seed)
                table = write(folder, {"train": train, "test": test})
                found = {
                    "extraction": extraction(table, arguments.image_size, cached),
                    "scratch": scratch(table, len(train), seed, folder),
                }
            for way, count in found.items():
                right.setdefault((way, size), []).append(count)
                print(f"seed {seed}, {size} a class, {way}: {100 * count / len(test):.2f} %", flush=True)
    return [
        {
            "way": way,
            "images_per_class": size,
            "accuracies": [count / len(test) for count in counts],
            "median": statistics.median(counts) / len(test),
            "interval95": interval(round(statistics.median(counts)), len(test)),
        }
        for (way, size), counts in sorted(right.items())
    ]


def draw(lines: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for way, words in WAYS.items():
        own = [line for line in lines if line["way"] == way]
        middle = np.array([100 * line["median"] for line in own])
        ends = np.abs(100 * np.array([line["interval95"] for line in own]).T - middle)
        sizes = [line["images_per_class"] for line in own]
        axes.errorbar(sizes, middle, yerr=ends, marker="o", capsize=3, label=words)
    axes.set(xscale="log", xlabel="training images a class", ylabel="accuracy on test images (%)")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.seeds, arguments.test, arguments.image_size = [2, 3], 1, 20, 32
    lines = measure(arguments)
    for line in lines:
        low, high = line["interval95"]
        print(
            f"{line['images_per_class']:>6,} a class  {line['way']:<11} {100 * line['median']:6.2f} %  "
            f"({100 * low:.1f} to {100 * high:.1f} %)"
        )
    if arguments.figure:
        draw(lines, arguments.figure)
    settings = {key: getattr(arguments, key) for key in ("sizes", "seeds", "test", "image_size")}
    common.write(arguments.json, "learning_curve", settings, {"results": lines})


if __name__ == "__main__":
    main()
