"""What the frozen part of a network makes of images: computed once, then read from disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from neocog.data.source import Progress
from neocog.feature_store import DIGEST, FeatureStore
from neocog.training.evaluation import batch_size_for
from neocog.training.hardware import Hardware

_VERSION = 3
# What is computed goes to disk about so often, and from this size on: a process that is killed loses no more.
_KEPT_SECONDS, _KEPT_BYTES = 30.0, 2**26


def features(
    front: nn.Module, images: Tensor, hardware: Hardware, *, progress: Progress | None = None, cached: bool = True
) -> Tensor:
    """Give what `front` makes of `images` (N, C, H, W): float32 (N, …) on the CPU.

    `front` (scaling and the frozen pieces of a network) is run in evaluation mode, once for each image: what it gives
    is kept in the data folder by the digests of the weights, the hardware and the pixels, so that only images that are
    new to it are computed. Where that folder cannot be written, nothing is kept. `progress(what, done, total)` is
    called after each batch.
    """
    if not cached:
        found: Tensor | None = None
        for rows, values in _computed(front, images, range(len(images)), hardware, progress):
            found = _with(found, len(images), rows, values)
        assert found is not None
        return found
    store, digests = FeatureStore(_key(front, images, hardware)), _digests(images)
    firsts = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    found = None
    missing = set(firsts.values())
    for known, values in store.read(firsts):
        rows = [firsts[digest] for digest in known]
        found = _with(found, len(images), rows, values)
        missing.difference_update(rows)
    keeping = _Keeping(store)
    for rows, values in _computed(front, images, sorted(missing), hardware, progress) if missing or not digests else ():
        found = _with(found, len(images), rows, values)
        keeping.take([digests[row] for row in rows], values)
    keeping.write()
    assert found is not None
    copies = [row for row, digest in enumerate(digests) if firsts[digest] != row]
    if copies:
        found[copies] = found[[firsts[digests[row]] for row in copies]]
    return found


class _Keeping:
    """What was computed and is not on disk yet."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._clear()

    def take(self, digests: list[bytes], values: Tensor) -> None:
        if not self._store.writable:
            return
        self._digests += digests
        self._values.append(values)
        size = sum(part.nbytes for part in self._values)
        if size >= _KEPT_BYTES or time.monotonic() - self._since >= _KEPT_SECONDS:
            self.write()

    def write(self) -> None:
        if self._values:
            self._store.add(self._digests, torch.cat(self._values))
        self._clear()

    def _clear(self) -> None:
        self._digests, self._values, self._since = list[bytes](), list[Tensor](), time.monotonic()


def _with(found: Tensor | None, count: int, rows: Sequence[int], values: Tensor) -> Tensor:
    """Put `values` into `rows` of `found`, (count, …), which is made where it is not there yet."""
    if found is None:
        found = values.new_empty((count, *values.shape[1:]))
    found[list(rows)] = values
    return found


@torch.no_grad()
def _computed(
    front: nn.Module, images: Tensor, rows: Sequence[int], hardware: Hardware, progress: Progress | None
) -> Iterator[tuple[Sequence[int], Tensor]]:
    """Give the features of the images at `rows`, a batch of rows at a time."""
    training = front.training
    front.eval()
    size = batch_size_for(images.shape[1:])
    try:
        # of no images too there is one batch, which has the shape
        for start in range(0, max(1, len(rows)), size):
            part = rows[start : start + size]
            with hardware.precision():
                values = front(hardware.images(images[list(part)]))
            yield part, values.float().cpu().contiguous()
            if progress is not None and len(rows):
                progress("computing features", min(start + size, len(rows)), len(rows))
    finally:
        front.train(training)


def _key(front: nn.Module, images: Tensor, hardware: Hardware) -> str:
    """Give a digest of all but the image that a row of features depends on."""
    about = f"{_VERSION} {torch.__version__} {hardware} {images.dtype} {tuple(images.shape[1:])} {front}"
    digest = hashlib.blake2b(about.encode(), digest_size=20)
    # Buffers that are not part of the state dict, such as the mean of the scaling, count too.
    for name, tensor in (*front.named_parameters(), *front.named_buffers()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _digests(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(_bytes(image), digest_size=DIGEST).digest() for image in images]


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
