"""Images per second of a whole training epoch: neocog's loop against a plain PyTorch script.

The plain script is the one that courses teach: a Dataset that makes a Pillow image of each digit and turns it into a
tensor, a DataLoader, the loop written out. Both train the same network on the same images with the same batch size and
optimiser. Each lives in a process of its own, so that neither gains from what the other has set, and they take turns;
what is printed is the median over the rounds and the ratio of the medians.

    python benchmarks/training_loop.py [--images 12800] [--rounds 5] [--batch-size 128]
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import neocog
from neocog.data import ImageSet, load
from neocog.models import ScaledNetwork, Scaling
from neocog.recipe import DataSettings

NETWORKS = ("lenet5", "bootcamp-cnn", "bootcamp-cnn2")


class Digits(Dataset):
    """One digit as a Pillow image, then as a float tensor: what torchvision's MNIST and ToTensor do."""

    def __init__(self, images: ImageSet) -> None:
        self.images, self.labels = images.images.squeeze(1), images.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.images[index].numpy())
        array = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(28, 28, 1)
        return array.permute(2, 0, 1).contiguous().to(torch.float32).div(255), int(self.labels[index])


def plain(network: str, images: ImageSet, batch_size: int, workers: int = 0) -> None:
    model = neocog.build(network, (1, 28, 28), 10)
    loader = DataLoader(Digits(images), batch_size, shuffle=True, num_workers=workers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    total, correct = 0.0, 0
    for inputs, labels in loader:
        optimizer.zero_grad()
        # Layer by layer, as a script does: the network's own forward would swap relu and pooling.
        logits = inputs
        for layer in model.children():
            logits = layer(logits)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
        correct += int((logits.argmax(1) == labels).sum())


def plain_with_workers(network: str, images: ImageSet, batch_size: int) -> None:
    plain(network, images, batch_size, workers=2)


def ours(network: str, images: ImageSet, batch_size: int) -> None:
    model = ScaledNetwork(Scaling([0.0], [1.0]), neocog.build(network, (1, 28, 28), 10))
    neocog.fit(model, images, epochs=1, batch_size=batch_size, optimizer="adam", lr=1e-3, progress=False)


def worker(connection: Connection, work: Callable[[str, ImageSet, int], None], count: int, batch_size: int) -> None:
    """Time an epoch of each network that the connection names."""
    images = load(DataSettings(source="mnist", validation=5000)).train.subset(torch.arange(count))
    while network := connection.recv():
        begun = time.perf_counter()
        work(network, images, batch_size)
        connection.send(time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    connections = []
    for work in (plain, plain_with_workers, ours):
        connection, end = processes.Pipe()
        processes.Process(target=worker, args=(end, work, options.images, options.batch_size)).start()
        connections.append(connection)
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{options.images} images, batch {options.batch_size}, median of {options.rounds} rounds in turns; images/s")
    print(f"{'network':16}{'DataLoader':>12}{'2 workers':>12}{'neocog':>12}{'ratio':>8}{'ratio to workers':>18}")
    for network in NETWORKS:
        times: list[list[float]] = [[] for _ in connections]
        for lap in range(options.rounds + 1):
            for taken, connection in zip(times, connections, strict=True):
                connection.send(network)
                seconds = connection.recv()
                if lap:  # the first one warms up
                    taken.append(seconds)
        rates = [options.images / statistics.median(taken) for taken in times]
        print(
            f"{network:16}{rates[0]:12,.0f}{rates[1]:12,.0f}{rates[2]:12,.0f}"
            f"{rates[2] / rates[0]:7.2f}x{rates[2] / rates[1]:17.2f}x",
            flush=True,
        )
    for connection in connections:
        connection.send("")


if __name__ == "__main__":
    main()
