"""Seconds of training until a network is right about 98.25, 99.02 and 99.35 % of MNIST's test images.

The contenders, each in a process of its own, take turns seed by seed:

- course: bootcamp-cnn2 as a script of the course trains it: a Dataset that makes a Pillow image of each digit and turns
  it into a tensor, a DataLoader, the layers one by one in float32, Adam with 1e-3. It is tested every tenth of an
  epoch, and a figure counts as reached the first time that a test gives it.
- published: the recipe of github.com/tuomaso/train_mnist_fast (8_Final, 99.04 % in 0.76 s on a GTX 1660 Ti), written
  anew in plain PyTorch from its settings: normalised images in memory, one epoch in a fixed order, batches of 256,
  Adam with 1e-2 and betas (0.7, 0.9), a one-cycle schedule. published-bf16 is the same in channels_last and bfloat16
  autocast, where the CPU has it.
- neocog's recipes, by `neocog.train`. They and the published one are tested at their end alone, and reach a figure
  where their mean over the seeds does; the fastest one that does is compared.

Counted is everything from the images in memory to the last step: building the network, the statistics of the images,
augmentation, checkpoints; tests and validation are not. (The published recipe normalises beforehand; so it does here.)
A few steps before the first training load what a process loads once. Printed are medians over the seeds.

    python benchmarks/time_to_accuracy.py [--json PATH] [--seeds 3] [--rounds 1] [--recipes mnist-fast mnist]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from common import (
    CLASSES,
    Contender,
    ContenderError,
    bfloat16_is_fast,
    machine,
    number,
    parser,
    print_machine,
    print_table,
    stock,
    write,
)
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from training_loop import Digits

import neocog
from neocog.data import DataSet, ImageSet, load
from neocog.errors import NeocogError
from neocog.recipe import DataSettings, Recipe
from neocog.training import preparing
from neocog.training.events import EpochDone, Event, Listener, StepDone, Validating

TARGETS = (98.25, 99.02, 99.35)
TESTS_AN_EPOCH = 10
PUBLISHED = ("published", "published-bf16")


class Course:
    """The loop as a user writes it."""

    def __init__(self, images: int | None, batch_size: int) -> None:
        data = part_of(load(DataSettings(source="mnist", validation="test")), images)
        self.train, self.test = data.train, data.test
        self.batch_size = batch_size

    def warm_up(self) -> None:
        """Train one batch."""
        next(self._training(0, self.batch_size))

    def run(self, seed: int, epochs: int) -> list[tuple[float, float]]:
        """Train until the last figure is reached; give (seconds, accuracy) every tenth of an epoch."""
        curve: list[tuple[float, float]] = []
        seconds, resumed = 0.0, time.perf_counter()
        every = -(-len(self.train) // (TESTS_AN_EPOCH * self.batch_size))
        for step, model in enumerate(self._training(seed, epochs * len(self.train)), 1):
            if step % every == 0:
                seconds += time.perf_counter() - resumed
                curve.append((seconds, accuracy(model, self.test)))
                if curve[-1][1] >= TARGETS[-1]:
                    break
                resumed = time.perf_counter()
        return curve

    def _training(self, seed: int, images: int) -> Iterator[nn.Module]:
        """Give the model after each step."""
        torch.manual_seed(seed)
        model = stock(neocog.build("bootcamp-cnn2", (1, 28, 28), CLASSES))
        loader = DataLoader(Digits(self.train), self.batch_size, shuffle=True)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        seen = 0
        while seen < images:
            for inputs, labels in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(inputs), labels)
                loss.backward()
                optimizer.step()
                seen += len(labels)
                yield model


class Published:
    """One epoch of a small network with a high learning rate."""

    def __init__(self, images: int | None, bfloat16: bool) -> None:
        self.bfloat16 = bfloat16
        data = part_of(load(DataSettings(source="mnist", validation="test")), images)
        self.test = data.test
        # The published script shuffles once, when it writes the normalised images to a file.
        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
        self.train = data.train.subset(order)
        self.images = normalised(self.train.images)

    def warm_up(self) -> None:
        """Train a few batches."""
        self._train(0, 4 * 256)

    def run(self, seed: int) -> tuple[float, float]:
        """Train; give the seconds and the test accuracy."""
        begun = time.perf_counter()
        model = self._train(seed, len(self.images))
        seconds = time.perf_counter() - begun
        return seconds, accuracy(model, self.test, normalised)

    def _train(self, seed: int, count: int) -> nn.Module:
        torch.manual_seed(seed)
        model = published_network()
        images, labels = self.images[:count], self.train.labels[:count]
        if self.bfloat16:
            model, images = (part.to(memory_format=torch.channels_last) for part in (model, images))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.7, 0.9))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=1e-2, total_steps=-(-len(images) // 256), cycle_momentum=False
        )
        for inputs, targets in zip(images.split(256), labels.split(256), strict=True):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                loss = F.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            schedule.step()
        return model


def published_network() -> nn.Module:
    """Build the network of the published recipe, relu after the pooling as there."""
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(1, 24, 5),
        "pool1": nn.MaxPool2d(2),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(24, 32, 3),
        "pool2": nn.MaxPool2d(2),
        "relu2": nn.ReLU(),
        "flatten": nn.Flatten(),
        "linear1": nn.Linear(800, 256),
        "relu3": nn.ReLU(),
        "linear2": nn.Linear(256, 10),
    }
    return nn.Sequential(OrderedDict(layers))


class Ours:
    """A recipe of neocog, by `neocog.train`."""

    def __init__(self, recipe: str, images: int | None, epochs: int | None) -> None:
        name, _, own = recipe.partition(":")
        self.recipe = Recipe.load(name)
        epochs = epochs or (int(own) if own else None)
        if epochs is not None:
            self.recipe = self.recipe.with_values({"train.epochs": epochs})
        self.data = part_of(load(self.recipe.data), images)

    def warm_up(self) -> None:
        """Train a few batches."""
        with tempfile.TemporaryDirectory() as folder:
            self._train(0, folder, lambda event: "warm" if isinstance(event, StepDone) and event.step == 4 else None)

    def run(self, seed: int) -> dict[str, Any]:
        """Train; give the seconds, those of the whole call, the test accuracy and where it ran."""
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            clock.start()
            run = self._train(seed, folder, clock)
            seconds = time.perf_counter() - clock.begun
            train = run.recipe.train
            return {
                "seed": seed,
                "seconds": clock.seconds,
                "call_seconds": seconds,
                "accuracy": 100 * run.metrics["test"]["accuracy"],
                "place": f"{train.precision}, {train.memory_format}, kernels {train.kernels}, {train.threads} threads",
            }

    def _train(self, seed: int, folder: str, listener: Listener) -> neocog.Run:
        # The images lie in memory: to read them from the package's file is no part of the training.
        preparing.load = lambda settings, progress=None: self.data
        out, settings = f"{folder}/run", {"train.seed": seed}
        return neocog.train(self.recipe, out=out, progress=False, listeners=[listener], **settings)


class Clock:
    """A listener that counts the seconds to the last step, without those of validation."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Count from now on."""
        self.begun = self.stepped = self.validated = time.perf_counter()
        self.evaluation = self.pending = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training: to the last step, less the validation before it."""
        return self.stepped - self.begun - self.evaluation

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, StepDone):
            # Only now is it clear that the validation before was not the last one.
            self.evaluation, self.pending = self.evaluation + self.pending, 0.0
            self.stepped = self.validated = now
        elif isinstance(event, Validating):
            self.validated = now
        elif isinstance(event, EpochDone):
            self.pending = self.validated - self.stepped


def part_of(data: DataSet, count: int | None) -> DataSet:
    """Give a data set of the first images, and a fifth as many to test on; all of them where there is no count."""
    if count is None:
        return data
    valid, test = (part and part.subset(torch.arange(count // 5)) for part in (data.valid, data.test))
    return dataclasses.replace(data, train=data.train.subset(torch.arange(count)), valid=valid, test=test)


def floats(images: torch.Tensor) -> torch.Tensor:
    """Give pixels from 0 to 1."""
    return images.float().div(255)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Give pixels of about mean 0 and deviation 1, with the numbers that everybody takes for MNIST."""
    return floats(images).sub(0.1307).div(0.3081)


@torch.inference_mode()
def accuracy(model: nn.Module, test: ImageSet, scale: Callable[[torch.Tensor], torch.Tensor] = floats) -> float:
    """Give the percentage of images that are right, with dropout off; the model goes on training."""
    model.eval()
    parts = zip(test.images.split(1000), test.labels.split(1000), strict=True)
    correct = sum(int((model(scale(images)).argmax(1) == labels).sum()) for images, labels in parts)
    model.train()
    return 100 * correct / len(test)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train everything, seed by seed; give the runs of each contender."""
    contenders, skipped = start(options)
    runs: dict[str, list[Any]] = {name: [] for name in contenders}
    for seed in range(options.seeds):
        for name, contender in list(contenders.items()):
            if name == "course" and seed >= options.rounds:
                continue
            given = (seed, options.course_epochs) if name == "course" else (seed,)
            try:
                answer = contender.call("run", *given)
            except ContenderError as error:
                skipped[name] = str(error)
                print(f"{name} failed: {error}", flush=True)
                del contenders[name], runs[name]
                continue
            runs[name].append(described(name, seed, answer))
            print(f"seed {seed}, {name}: {line_of(runs[name][-1])}", flush=True)
    for contender in contenders.values():
        contender.close()
    return {"runs": runs, "skipped": skipped}


def start(options: argparse.Namespace) -> tuple[dict[str, Contender], dict[str, str]]:
    """Start the contenders; say why those are left out that are."""
    images = options.images
    made = {
        "course": Contender("course", Course, images, options.course_batch_size),
        "published": Contender("published", Published, images, False),
        "published-bf16": Contender("published-bf16", Published, images, True),
        **{name: Contender(name, Ours, name, images, options.epochs) for name in options.recipes},
    }
    skipped = {}
    for name, contender in list(made.items()):
        try:
            if name in options.without:
                raise ContenderError("not asked for")
            if name == "published-bf16" and not bfloat16_is_fast():
                raise ContenderError("this CPU has no bfloat16 instructions")
            if name in options.recipes:
                Recipe.load(name.partition(":")[0])
            contender.call("warm_up")
        except (ContenderError, NeocogError) as error:
            skipped[name] = str(error)
            contender.close()
            del made[name]
            print(f"{name} is left out: {error}", flush=True)
    return made, skipped


def described(name: str, seed: int, answer: Any) -> dict[str, Any]:
    """Give a run as plain values with names."""
    if name == "course":
        reached = {
            f"{target:.2f}": next((seconds for seconds, found in answer if found >= target), None) for target in TARGETS
        }
        return {"seed": seed, "curve": answer, "reached": reached}
    return {"seed": seed, "seconds": answer[0], "accuracy": answer[1]} if name in PUBLISHED else answer


def line_of(run: dict[str, Any]) -> str:
    """Write a run in one line."""
    if "curve" not in run:
        return f"{run['accuracy']:.2f} % in {run['seconds']:.2f} s"
    best = max((found for _, found in run["curve"]), default=0.0)
    times = (f"{target} % {'not' if at is None else f'in {at:.1f} s'}" for target, at in run["reached"].items())
    return f"{', '.join(times)}; best {best:.2f} % in {run['curve'][-1][0]:.1f} s"


def compare(runs: dict[str, list[Any]]) -> dict[str, Any]:
    """Give the table: for each figure the seconds of the course's loop, of the published recipe and of neocog's."""
    ends = {
        name: {
            "seconds": statistics.median(run["seconds"] for run in found),
            "accuracy": statistics.mean(run["accuracy"] for run in found),
            "least_accuracy": min(run["accuracy"] for run in found),
        }
        for name, found in runs.items()
        if name != "course" and found
    }
    targets = []
    for target in TARGETS:
        key = f"{target:.2f}"
        course = _median([run["reached"][key] for run in runs.get("course", [])])
        published = _fastest({name: end for name, end in ends.items() if name in PUBLISHED}, target)
        ours = _fastest({name: end for name, end in ends.items() if name not in PUBLISHED}, target)
        targets.append(
            {
                "accuracy": target,
                "course_seconds": course,
                "published": published,
                "published_seconds": ends[published]["seconds"] if published else None,
                "neocog": ours,
                "neocog_seconds": ends[ours]["seconds"] if ours else None,
                "ratio_to_course": course / ends[ours]["seconds"] if ours and course else None,
                "ratio_to_published": (
                    ends[published]["seconds"] / ends[ours]["seconds"] if ours and published else None
                ),
            }
        )
    return {"ends": ends, "targets": targets}


def _fastest(ends: dict[str, dict[str, float]], target: float) -> str | None:
    reached = [name for name, end in ends.items() if end["accuracy"] >= target]
    return min(reached, key=lambda name: ends[name]["seconds"], default=None)


def _median(times: list[float | None]) -> float | None:
    """Give the median; None where half of the runs or more never got there."""
    there = sorted(float("inf") if seconds is None else seconds for seconds in times)
    median = statistics.median(there) if there else float("inf")
    return None if median == float("inf") else median


def print_result(found: dict[str, Any]) -> None:
    """Print both tables."""
    print()
    rows = [
        [name, number(end["seconds"], ",.2f"), *(f"{end[key]:.2f} %" for key in ("accuracy", "least_accuracy")), ""]
        for name, end in found["ends"].items()
    ]
    print_table(["recipe", "seconds", "test accuracy, mean", "least", ""], rows)
    print()
    rows = []
    for line in found["targets"]:
        seconds = [number(line[f"{name}_seconds"], ",.2f") or "not" for name in ("course", "published", "neocog")]
        ratios = [number(line[f"ratio_to_{name}"], ",.1f", "x") for name in ("course", "published")]
        rows.append([f"{line['accuracy']:.2f} %", *seconds, *ratios, line["neocog"] or ""])
    heads = ["reached", "course s", "published s", "neocog s", "to course", "to published", "neocog's recipe"]
    print_table(heads, rows)


def main() -> None:
    """Train and print the tables."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--recipes", nargs="*", default=["mnist-fast", "mnist-fast:4", "mnist"], metavar="NAME[:EPOCHS]"
    )
    arguments.add_argument("--seeds", type=int, help="trainings of each recipe; 3 if not given")
    arguments.add_argument("--rounds", type=int, default=1, help="of these, how many the course's slow loop does too")
    arguments.add_argument("--course-epochs", type=int, help="where the course's loop gives up; 15 if not given")
    arguments.add_argument("--course-batch-size", type=int, default=128)
    arguments.add_argument("--without", nargs="+", default=[], metavar="NAME", help="contenders to leave out")
    options = arguments.parse_args()
    quick = options.quick
    options.seeds = options.seeds or (1 if quick else 3)
    options.course_epochs = options.course_epochs or (1 if quick else 15)
    options.images, options.epochs = (640, 1) if quick else (None, None)
    described_machine = machine()
    print_machine(described_machine)
    print("seconds of training; a process each, seed by seed in turns; the allocator as each sets it", flush=True)
    found = measure(options)
    found |= compare(found["runs"])
    print_result(found)
    names = ("seeds", "rounds", "recipes", "course_epochs", "course_batch_size", "images", "epochs")
    write(options.json, "time_to_accuracy", {name: getattr(options, name) for name in names}, found)


if __name__ == "__main__":
    main()
