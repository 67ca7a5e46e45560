"""Photographs per second: neocog's decoding against a plain Pillow loop and a PyTorch DataLoader over the same files.

The photographs are made here: noise with the spectrum of natural images (amplitude 1/f) behind the blur of a lens,
saved as JPEG of quality 92 with halved colour, about 2.8 bits a pixel, as telephones do. `--folder` takes photographs
of your own. All make 3x224x224 of them: the plain loop and the DataLoader's Dataset as a user would write it (open,
convert to RGB, resize and cut by Pillow, to a float tensor), neocog by its own way into bytes. Each lives in a
process of its own, and they take turns. "first" is the first epoch, with the DataLoader's processes started; "later"
the second one, in batches of 8 float tensors: the DataLoader decodes again, neocog has the bytes. Rates are medians;
"per core" counts the processor time of all processes. The last line says how far neocog's pixels are from those of
the full decoding.

    python benchmarks/decoding.py [--sizes 3000x2000 4000x3000] [--folder PATH] [--count 32] [--rounds 3]
"""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from neocog.data import Geometry
from neocog.data.decoding import image_suffixes
from neocog.data.file_pixels import FilePixels
from neocog.data.paths import image_files

# small batches, so that two processes have something to share
SIDE, BATCH = 224, 8
_DISTINCT = 6


def photograph(seed: int, width: int, height: int) -> Image.Image:
    """Make a picture with the spectrum of a photograph; its three colours have most of their detail in common."""
    draws = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]).astype(np.float32)
    frequency[0, 0] = 1
    planes = []
    for _ in range(4):
        phases = draws.standard_normal((*frequency.shape, 2), np.float32).view(np.complex64)[..., 0]
        plane = np.fft.irfft2(phases / frequency, s=(height, width)).astype(np.float32)
        planes.append((plane - plane.mean()) / plane.std())
    pixels = np.stack([118 + 50 * (0.9 * planes[0] + 0.35 * own) for own in planes[1:]], axis=-1)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))


def make_files(folder: Path, width: int, height: int, count: int) -> list[Path]:
    """Write `count` files, of which some are copies."""
    files = [folder / f"{number:04}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        if number < _DISTINCT:
            photograph(number, width, height).save(file, quality=92, subsampling="4:2:0")
        else:
            file.write_bytes(files[number % _DISTINCT].read_bytes())
    return files


def plainly(file: Path) -> Image.Image:
    """Decode the whole picture, then resize the middle of it: the pixels that neocog's are compared with."""
    with Image.open(file) as image:
        colour = image.convert("RGB")
    scale = max(SIDE / colour.width, SIDE / colour.height)
    across, down = min(colour.width, SIDE / scale), min(colour.height, SIDE / scale)
    left, top = (colour.width - across) / 2, (colour.height - down) / 2
    return colour.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=(left, top, left + across, top + down))


def to_tensor(image: Image.Image) -> Tensor:
    """What torchvision's ToTensor does."""
    return torch.from_numpy(np.array(image, copy=True)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


class Photographs(Dataset[Tensor]):
    """A Dataset as a user would write it."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return to_tensor(plainly(self.files[index]))


class Plain:
    """A loop over the files that keeps what it made."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def first(self) -> None:
        self.made = torch.stack([torch.from_numpy(np.array(plainly(file))).permute(2, 0, 1) for file in self.files])

    def later(self) -> None:
        self.first()


class Loader:
    """The DataLoader, with its processes started for each epoch."""

    def __init__(self, files: Sequence[Path], workers: int) -> None:
        # This process was spawned; a user's DataLoader forks where the system can.
        start = "fork" if workers and "fork" in multiprocessing.get_all_start_methods() else None
        self.loader = DataLoader(
            Photographs(files), BATCH, shuffle=True, num_workers=workers, multiprocessing_context=start
        )

    def first(self) -> None:
        for _ in self.loader:
            pass

    def later(self) -> None:
        self.first()


class Neocog:
    """Decoded once into bytes, then read from memory."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.pixels = FilePixels(files)

    def first(self) -> None:
        self.images = np.empty((len(self.pixels), 3, SIDE, SIDE), np.uint8)
        self.pixels.read(Geometry((SIDE, SIDE), 3), self.images, None)

    def later(self) -> None:
        images = torch.from_numpy(self.images)
        for rows in torch.randperm(len(images)).split(BATCH):
            images[rows].to(torch.float32).div_(255)


CONTENDERS = {
    "Pillow loop": lambda files: Plain(files),
    "DataLoader": lambda files: Loader(files, 0),
    "DataLoader, 2 workers": lambda files: Loader(files, 2),
    "neocog": lambda files: Neocog(files),
}


def processor_seconds() -> float:
    """Count this process and those that it started and that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def worker(connection: Connection, name: str, files: Sequence[Path]) -> None:
    """Time the epoch, "first" or "later", that the connection names."""
    torch.set_num_threads(1)
    contender = CONTENDERS[name](files)
    while epoch := connection.recv():
        begun, spent = time.perf_counter(), processor_seconds()
        getattr(contender, epoch)()
        connection.send((time.perf_counter() - begun, processor_seconds() - spent))


def measure(files: Sequence[Path], rounds: int) -> dict[str, dict[str, Any]]:
    """Time all contenders in turns; the first round warms up."""
    processes = multiprocessing.get_context("spawn")
    connections = {}
    for name in CONTENDERS:
        connections[name], end = processes.Pipe()
        # not a daemon, as the DataLoader starts processes of its own
        processes.Process(target=worker, args=(end, name, files)).start()
        end.close()
    times: dict[str, dict[str, list[tuple[float, float]]]] = {name: {"first": [], "later": []} for name in CONTENDERS}
    try:
        for lap in range(rounds + 1):
            for name, connection in connections.items():
                for epoch in ("first", "later"):
                    connection.send(epoch)
                    taken = connection.recv()
                    if lap:
                        times[name][epoch].append(taken)
    finally:
        for connection in connections.values():
            connection.send("")
    return {
        name: {
            "first_images_per_second": len(files) / statistics.median(taken for taken, _ in found["first"]),
            "later_images_per_second": len(files) / statistics.median(taken for taken, _ in found["later"]),
            "first_images_per_second_per_core": len(files) / max(1e-9, statistics.median(s for _, s in found["first"])),
            "first_seconds": [taken for taken, _ in found["first"]],
            "later_seconds": [taken for taken, _ in found["later"]],
        }
        for name, found in times.items()
    }


def quality(files: Sequence[Path]) -> dict[str, float | int | None]:
    """Compare neocog's pixels with those of the full decoding; no PSNR where they are all the same."""
    images = np.empty((len(files), 3, SIDE, SIDE), np.uint8)
    kept, _ = FilePixels(files).read(Geometry((SIDE, SIDE), 3), images, None)
    ratios, largest = [], 0
    for image, row in zip(images, kept, strict=False):
        error = image.astype(np.int64) - np.asarray(plainly(files[row]), np.int64).transpose(2, 0, 1)
        largest = max(largest, int(np.abs(error).max()))
        mean = float((error**2).mean())
        ratios.append(10 * math.log10(255**2 / mean) if mean else math.inf)
    finite = [ratio for ratio in ratios if math.isfinite(ratio)]
    return {
        "psnr_median": statistics.median(finite) if finite else None,
        "psnr_least": min(finite) if finite else None,
        "largest_error": largest,
        "same": len(ratios) - len(finite),
    }


def report(name: str, files: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Measure a set of files and print what came out."""
    megabytes = sum(file.stat().st_size for file in files) / len(files) / 1e6
    found: dict[str, Any] = {
        "photographs": name,
        "count": len(files),
        "megabytes": megabytes,
        "contenders": measure(files, rounds),
    }
    found["quality"] = quality(files[:_DISTINCT] if "x" in name else files)
    print(f"\n{name}, {len(files)} files of {megabytes:.1f} MB on average; images/s")
    base = found["contenders"]
    rows = [
        [
            contender,
            *(
                common.number(line[key], ",.1f")
                for key in ("first_images_per_second", "first_images_per_second_per_core")
            ),
            common.number(line["later_images_per_second"], ",.0f"),
            *(
                common.number(line["first_images_per_second"] / base[other]["first_images_per_second"], ".2f", "x")
                for other in ("DataLoader", "DataLoader, 2 workers")
            ),
        ]
        for contender, line in base.items()
    ]
    common.print_table(["", "first", "per core", "later", "to DataLoader", "to 2 workers"], rows)
    told = found["quality"]
    if told["psnr_median"] is None:
        print("pixels: the same as those of the full decoding")
    else:
        print(
            f"pixels: PSNR {told['psnr_median']:.1f} dB, at least {told['psnr_least']:.1f}, to the full decoding; "
            f"largest error {told['largest_error']} of 255; the same in {told['same']} files"
        )
    return found


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", nargs="*", default=["3000x2000", "4000x3000"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--folder", type=Path, help="a folder of photographs, measured beside those that are made")
    parser.add_argument("--count", type=int, default=32, help="photographs of each size")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = ["960x720"] if options.quick else options.sizes
    count, rounds = (3, 1) if options.quick else (options.count, options.rounds)
    common.print_machine(common.machine())
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            width, height = (int(side) for side in size.split("x"))
            folder = Path(temporary) / size
            folder.mkdir()
            results.append(report(size, make_files(folder, width, height, count), rounds))
    if options.folder:
        files = [file for file in image_files([str(options.folder)]) if file.suffix.lower() in image_suffixes()]
        results.append(report(options.folder.name, files, rounds))
    settings = {"side": SIDE, "batch_size": BATCH, "rounds": rounds}
    common.write(options.json, "decoding", settings, {"results": results})


if __name__ == "__main__":
    main()
