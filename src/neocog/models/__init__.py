"""Networks: by name, in the notation, from a Python path; their scaling and their weights.

What needs torch is imported on first use, so that the list of networks (`neocog.models.catalogue`) answers at
once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neocog.models.builder import build
    from neocog.models.network import NotationNetwork
    from neocog.models.scaling import ScaledNetwork, Scaling
    from neocog.models.weights import adapt_first_conv, load_into, read_weights

__all__ = [
    "NotationNetwork",
    "ScaledNetwork",
    "Scaling",
    "adapt_first_conv",
    "build",
    "load_into",
    "read_weights",
]

_HOME = {
    "NotationNetwork": "network",
    "ScaledNetwork": "scaling",
    "Scaling": "scaling",
    "adapt_first_conv": "weights",
    "build": "builder",
    "load_into": "weights",
    "read_weights": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
