"""Nearest neighbours among many unit vectors, a block of the matrix of all pairs at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from neocog.data.source import Int64, Progress

Float32 = npt.NDArray[np.float32]
NEAREST = 5
_FAR = 50
# numbers in a block of the matrix of similarities: 32 MB
_BLOCK = 8_000_000


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest neighbours of N vectors: `rows` int64 and `distances` float32 (N, k), nearest first.

    `scale` (N,) is the distance of a neighbour much further down the list: how far apart images are there that have
    nothing to do with each other. A copy is much nearer than that; a look-alike is not.
    """

    rows: Int64
    distances: Float32
    scale: Float32


def nearest(vectors: Float32, progress: Progress | None = None) -> Nearest:
    """Find the nearest of `vectors` (N, D), each of length 1 (or 0), for each of them.

    All pairs are compared by products of matrices: the time grows with N^2 * D, the memory with N.
    """
    count = len(vectors)
    far = min(_FAR, max(NEAREST, count // 5), count - 1)
    near = min(NEAREST, count - 1)
    if near < 1:
        empty = np.zeros((count, 0))
        return Nearest(empty.astype(np.int64), empty.astype(np.float32), np.ones(count, np.float32))
    whole = torch.from_numpy(vectors)
    rows, distances, scales = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()
    step = max(1, _BLOCK // count)
    # one and the same memory for every block
    buffer = torch.empty(min(step, count), count)
    for start in range(0, count, step):
        block = torch.mm(whole[start : start + step], whole.T, out=buffer[: min(step, count - start)])
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = -2
        found, places = block.topk(far, dim=1)
        rows.append(places[:, :near].clone())
        distances.append(_distance(found[:, :near]))
        scales.append(_distance(found[:, -1]))
        if progress is not None:
            progress("comparing images", start + len(block), count)
    return Nearest(torch.cat(rows).numpy(), torch.cat(distances).numpy(), torch.cat(scales).numpy())


def nearest_other(vectors: Float32, changed: Float32) -> tuple[Int64, Float32]:
    """For each of `changed` (N, D) find the nearest of `vectors` (N, D) but its own: rows and distances (N,)."""
    whole, turned = torch.from_numpy(vectors), torch.from_numpy(changed)
    rows, distances = list[torch.Tensor](), list[torch.Tensor]()
    count = len(whole)
    step = max(1, _BLOCK // max(1, count))
    buffer = torch.empty(min(step, count), count)
    for start in range(0, len(whole), step):
        block = torch.mm(turned[start : start + step], whole.T, out=buffer[: min(step, count - start)])
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = -2
        found, places = block.max(dim=1)
        rows.append(places)
        distances.append(_distance(found))
    return torch.cat(rows).numpy(), torch.cat(distances).numpy()


def unit(vectors: Float32) -> Float32:
    """Give vectors (N, D) brought to length 1, those of length 0 as they are."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)


def _distance(similarity: torch.Tensor) -> torch.Tensor:
    return (2 - 2 * similarity).clamp(min=0).sqrt()
