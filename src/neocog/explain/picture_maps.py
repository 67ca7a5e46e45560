"""The part of an explanation's picture with the feature maps, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.explain.colours import show_map
from neocog.explain.sheet import Area, Section
from neocog.notation import shape_text
from neocog.report.canvas import GRAY
from neocog.report.fonts import shorten

if TYPE_CHECKING:
    from neocog.explain.explanation import Explanation, LayerView

_NAMES = 1.75
_SIDE = 0.78
_STRIP = 0.2
_GAP = 0.1
_MOST_LAYERS = 10
_WIDEST_STRIP = 256


def maps_section(explanation: Explanation, width: float) -> Section:
    """Give the section with the strongest maps of each layer, and flat layers as strips."""
    layers = shown_layers(explanation)
    heights = [(_STRIP if _is_flat(layer) else _SIDE) + 0.16 for layer in layers]

    def paint(area: Area) -> None:
        top = 0.0
        for layer, height in zip(layers, heights, strict=True):
            _draw_layer(area, layer, top, width)
            top += height

    title = "what the layers gave, the channels that fired most: white is high, black 0; orange above 0, blue below"
    return Section(title, sum(heights), paint)


def shown_layers(explanation: Explanation) -> list[LayerView]:
    """Choose the layers to draw: what is followed by its activation at once is left out, and so are some of very many.

    The layer that the explanation is about always stays.
    """
    every = [layer for layer in explanation.layers if layer.values.ndim in (1, 3) and layer.values.size]
    kept = [
        layer
        for layer, following in zip(every, [*every[1:], None], strict=True)
        if layer.name == explanation.layer or following is None or not _is_replaced(layer, following)
    ]
    if len(kept) <= _MOST_LAYERS:
        return kept
    places = {round(place) for place in np.linspace(0, len(kept) - 1, _MOST_LAYERS)}
    return [layer for place, layer in enumerate(kept) if place in places or layer.name == explanation.layer]


def _is_replaced(layer: LayerView, following: LayerView) -> bool:
    """Whether the next layer shows the same units again: through an activation or a norm, or flattened."""
    same = following.values.shape == layer.values.shape
    return (same and following.pointwise) or (
        _is_flat(layer) and following.values.size == layer.values.size and not same
    )


def _is_flat(layer: LayerView) -> bool:
    return layer.values.ndim == 1 or layer.values.shape[1:] == (1, 1)


def _draw_layer(area: Area, layer: LayerView, top: float, width: float) -> None:
    area.write(0, top + 0.02, shorten(layer.name, 26), size=8.5)
    flat, signed = _is_flat(layer), bool(layer.values.min() < 0)
    size = shape_text(layer.values.shape)
    area.write(0 if not flat else 1.2, top + (0.02 if flat else 0.2), size, size=7.5, color=GRAY)
    if flat:
        axes = area.axes(_NAMES, top, width - _NAMES, _STRIP, frame=True)
        show_map(axes, _strip(layer.values.ravel()), signed=signed)
        axes.set_aspect("auto")
        return
    if len(layer.what) <= 40:
        area.write(0, top + 0.35, shorten(layer.what, 30), size=7, color=GRAY)
    most = int((width - _NAMES + _GAP) / (_SIDE + _GAP))
    strongest = np.sort(np.argsort(-np.clip(layer.values, 0, None).mean((1, 2)), kind="stable")[:most])
    high = float(np.abs(layer.values).max()) or 1.0
    for number, channel in enumerate(strongest):
        axes = area.axes(_NAMES + number * (_SIDE + _GAP), top, _SIDE, _SIDE, frame=True)
        show_map(axes, layer.values[channel], signed=signed, high=high)
        axes.set_anchor("NW")
        axes.set_xlabel(str(channel), fontsize=6, color=GRAY, labelpad=1)


def _strip(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give values as one row; of very many the largest in size of each stretch."""
    if len(values) <= _WIDEST_STRIP:
        return values[None]
    parts = np.array_split(values, _WIDEST_STRIP)
    return np.array([[part[np.abs(part).argmax()] for part in parts]], dtype=np.float32)
