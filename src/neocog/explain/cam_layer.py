"""Which layer's maps Grad-CAM uses."""

from __future__ import annotations

from collections import Counter

from torch import nn

from neocog.errors import ModelError
from neocog.explain.forward import Call, Forward
from neocog.explain.layers import find_layer
from neocog.models.lenet import TableConv2d

# Maps below this height or width say little about where; one that is larger is taken where there is one.
_LEAST_MAP = 4


def usual_layer(forward: Forward) -> str:
    """Name the layer of a recorded pass whose maps Grad-CAM uses where none is named.

    It is the last convolution whose map is at least 4x4 (else the last whose map is larger than 1x1), or what follows
    it without changing the size of the map: its batch norm, its activation, the end of its residual block. Raises
    `ModelError` where there is none.
    """
    calls = list(forward.calls())
    convolutions = [place for place, call in enumerate(calls) if isinstance(call.module, nn.Conv2d | TableConv2d)]
    for enough in (_has_places, _is_more_than_a_point):
        for place in reversed(convolutions):
            size = _map_size(calls[place])
            if size is not None and enough(size):
                return _end_of_maps(calls, place)
    raise ModelError(
        "Grad-CAM needs a convolution that gives maps larger than 1x1, and this network has none for such images. "
        "occlusion and integrated-gradients work for any network."
    )


def layer_with_maps(forward: Forward, layer: str) -> str:
    """Give the name of a layer back; raises `ModelError` where there is none, or it gives no maps."""
    module = find_layer(forward.network.module, layer)
    calls = [call for call in forward.calls() if call.module is module]
    if not calls or _map_size(calls[-1]) is None:
        raise ModelError(f"Grad-CAM needs a layer that gives maps CxHxW; {layer} gives none.")
    return layer


def _map_size(call: Call) -> tuple[int, int] | None:
    """Give the height and width of the maps that a call gave; None where it gave none."""
    return (call.shape[1], call.shape[2]) if call.alone and len(call.shape) == 3 else None


def _has_places(size: tuple[int, int]) -> bool:
    return min(size) >= _LEAST_MAP


def _is_more_than_a_point(size: tuple[int, int]) -> bool:
    return max(size) > 1


def _end_of_maps(calls: list[Call], place: int) -> str:
    """Name the last module from the call at `place` on that keeps the size of the map and is called once."""
    found, times = calls[place], Counter(call.module for call in calls)
    for call in calls[place + 1 :]:
        if _map_size(call) != _map_size(calls[place]):
            break
        if times[call.module] == 1:
            found = call
    return found.module_name
