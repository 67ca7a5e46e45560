"""How images, maps and weights are coloured in the pictures of an explanation."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from neocog.report.canvas import BLUE, ORANGE

SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#FFFFFF", ORANGE])


def show_image(axes: Axes, image: NDArray[np.float32], *, faded: bool = False) -> None:
    """Draw an image (C, H, W): pixels from 0 to 255 as they are, other numbers from the lowest to the highest."""
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 255 or high <= 1:
        image = (image - low) / (high - low) * 255 if high > low else np.zeros_like(image)
    if faded:
        gray = image.mean(0)
        # Paper white behind colours: a dark background would swallow them.
        image = 255 - 0.45 * (255 - gray if np.median(gray) > 127 else gray)[None]
    pixels: Any = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    axes.imshow(pixels / 255, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def show_map(axes: Axes, values: NDArray[np.float32], *, signed: bool, high: float | None = None) -> None:
    """Draw a feature map (H, W): black is 0 and white `high`; with `signed`, blue and orange lie around a white 0."""
    most = high or float(np.abs(values).max()) or 1.0
    if signed:
        axes.imshow(values, cmap=SIGNED, vmin=-most, vmax=most, interpolation="nearest")
    else:
        axes.imshow(values, cmap="gray", vmin=0, vmax=most, interpolation="nearest")
