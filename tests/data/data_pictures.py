from __future__ import annotations

import numpy as np
from PIL import Image


def noise(seed: int, size: tuple[int, int] = (12, 10), channels: int = 3) -> Image.Image:
    """A picture of random pixels, `size` being (width, height)."""
    width, height = size
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))
