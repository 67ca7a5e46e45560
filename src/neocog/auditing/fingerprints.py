"""Fingerprints: what thumbnails look like in a few numbers, and how they change when an image is turned or mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from neocog.data.source import UInt8

Float32 = npt.NDArray[np.float32]
# Frequencies across and down. A perceptual hash has the signs of 8 x 8 of them, 64 bits; the numbers themselves tell
# more, and cost no more where all pairs are compared by one product of matrices.
FREQUENCIES = 12
_FLATTEST = 2.0  # deviation in levels of gray; what varies less has no look of its own
_CHUNK = 4096


def fingerprints(thumbnails: UInt8) -> Float32:
    """Give unit vectors, float32 (N, 143), of thumbnails, uint8 (N, S, S); zeros where there is a single colour.

    They are the low frequencies of a discrete cosine transform, without the mean: neither brightness nor contrast
    counts, and the product of two of them is the correlation of the blurred thumbnails (the perceptual hash of
    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, keeps their signs).
    """
    from scipy.fft import dctn

    parts = []
    for start in range(0, len(thumbnails), _CHUNK):
        gray = thumbnails[start : start + _CHUNK].astype(np.float32)
        found = dctn(gray, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES].reshape(len(gray), -1)[:, 1:]
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        flat = gray.std(axis=(1, 2), keepdims=False)[:, None] < _FLATTEST
        parts.append(np.where(flat, 0, found / np.maximum(norms, 1e-6)).astype(np.float32))
    return np.concatenate(parts) if parts else np.zeros((0, FREQUENCIES**2 - 1), np.float32)


def mirrored(prints: Float32) -> Float32:
    """Give the fingerprints of the same images mirrored left to right."""
    return _grid_of(prints, lambda grid: grid * _signs()[None, None, :])


def symmetries(prints: Float32) -> Iterator[Float32]:
    """Give seven fingerprints: of the images mirrored, and turned by 90, 180, 270 degrees, plain and mirrored."""
    across, down = _signs()[None, None, :], _signs()[None, :, None]
    changes: list[Callable[[Float32], Float32]] = [
        lambda grid: grid * across,
        lambda grid: grid * down,
        lambda grid: grid * across * down,
        lambda grid: grid.transpose(0, 2, 1),
        lambda grid: grid.transpose(0, 2, 1) * across,
        lambda grid: grid.transpose(0, 2, 1) * down,
        lambda grid: grid.transpose(0, 2, 1) * across * down,
    ]
    # one at a time: together they would take several kB an image
    return (_grid_of(prints, change) for change in changes)


def _signs() -> Float32:
    # Cosines of odd frequencies change their sign where left and right change places.
    return np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)


def _grid_of(prints: Float32, change: Callable[[Float32], Float32]) -> Float32:
    whole = np.concatenate([np.zeros((len(prints), 1), np.float32), prints], axis=1)
    grid = whole.reshape(-1, FREQUENCIES, FREQUENCIES)
    return np.ascontiguousarray(change(grid).reshape(len(prints), -1)[:, 1:])
