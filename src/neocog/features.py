"""What the frozen part of a network makes of images: computed once, then read from disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from neocog.data.download import data_folder
from neocog.data.source import Progress
from neocog.files import whole_file, write_error
from neocog.training.evaluation import batch_size_for
from neocog.training.hardware import Hardware

_VERSION = 2
_DIGEST = 16
# Of all cached features together, on disk; the least recently used go first.
_MOST = 4 * 2**30


def features(
    front: nn.Module, images: Tensor, hardware: Hardware, *, progress: Progress | None = None, cached: bool = True
) -> Tensor:
    """Give what `front` makes of `images` (N, C, H, W): float32 (N, …) on the CPU.

    `front` (scaling and the frozen pieces of a network) is run in evaluation mode, once for each image: what it gives
    is kept in the data folder by the digests of the weights, the number format and the pixels, so that only images
    that are new to it are computed. `progress(what, done, total)` is called after each batch.
    """
    if not cached or not len(images):
        return _computed(front, images, hardware, progress)
    file = _folder() / f"{_key(front, images, hardware)}.safetensors"
    digests = _digests(images)
    known, kept = _read(file)
    place = {digest: row for row, digest in enumerate(known)}
    new = list({digest: row for row, digest in enumerate(digests) if digest not in place}.values())
    if new:
        more = _computed(front, _rows(images, new), hardware, progress)
        kept = more if kept is None else torch.cat([kept, more])
        place |= {digests[row]: len(known) + number for number, row in enumerate(new)}
        _write(file, [*known, *(digests[row] for row in new)], kept)
    assert kept is not None
    rows = [place[digest] for digest in digests]
    return kept if rows == list(range(len(kept))) else kept[rows]


@torch.no_grad()
def _computed(front: nn.Module, images: Tensor, hardware: Hardware, progress: Progress | None) -> Tensor:
    training = front.training
    front.eval()
    size = batch_size_for(images.shape[1:])
    parts = []
    try:
        for start in range(0, len(images), size):
            with hardware.precision():
                part = front(hardware.images(images[start : start + size]))
            parts.append(part.float().cpu().contiguous())
            if progress is not None:
                progress("computing features", min(start + size, len(images)), len(images))
    finally:
        front.train(training)
    return torch.cat(parts)


def _key(front: nn.Module, images: Tensor, hardware: Hardware) -> str:
    """Give a digest of all but the image that a row of features depends on."""
    about = f"{_VERSION} {torch.__version__} {hardware.bfloat16} {images.dtype} {tuple(images.shape[1:])} {front}"
    digest = hashlib.blake2b(about.encode(), digest_size=20)
    # Buffers that are not part of the state dict, such as the mean of the scaling, count too.
    for name, tensor in (*front.named_parameters(), *front.named_buffers()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _digests(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(_bytes(image), digest_size=_DIGEST).digest() for image in images]


def _rows(images: Tensor, rows: list[int]) -> Tensor:
    # Without an index a set that is mapped from a file is read a batch at a time.
    return images if rows == list(range(len(images))) else images[rows]


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _folder() -> Path:
    folder = data_folder() / "features"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder


def _read(file: Path) -> tuple[list[bytes], Tensor | None]:
    """Give the digests of the images that are known, and their features in the same order."""
    try:
        with safe_open(str(file), framework="pt") as stored:
            digests, found = stored.get_tensor("images").numpy(), stored.get_tensor("features")
        os.utime(file)
        return [row.tobytes() for row in digests], found
    except (OSError, SafetensorError):
        # Missing, or damaged by a disk: computed anew.
        return [], None


def _write(file: Path, digests: list[bytes], found: Tensor) -> None:
    table = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).view(-1, _DIGEST)
    with whole_file(file) as temporary:
        save_file({"images": table, "features": found.contiguous()}, temporary)
    _forget_oldest(file.parent)


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > _MOST and file != files[0]:
            with contextlib.suppress(OSError):
                file.unlink()
