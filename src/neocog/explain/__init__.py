"""Why a network gives what it gives: its layers, the arithmetic of one value, what it sees, and where it looked.

    from neocog.explain import explain

    explain(model, image).save("why.png")

What needs torch is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neocog.explain.attribution import grad_cam as grad_cam
    from neocog.explain.attribution import integrated_gradients as integrated_gradients
    from neocog.explain.attribution import occlusion as occlusion
    from neocog.explain.explanation import Explanation as Explanation
    from neocog.explain.explanation import explain as explain
    from neocog.explain.field import Field as Field
    from neocog.explain.field import receptive_field as receptive_field
    from neocog.explain.pixel import PixelArithmetic as PixelArithmetic
    from neocog.explain.pixel import explain_pixel as explain_pixel

_HOME = {
    "Explanation": "explanation",
    "Field": "field",
    "PixelArithmetic": "pixel",
    "explain": "explanation",
    "explain_pixel": "pixel",
    "grad_cam": "attribution",
    "integrated_gradients": "attribution",
    "occlusion": "attribution",
    "receptive_field": "field",
}

__all__ = [
    "Explanation",
    "Field",
    "PixelArithmetic",
    "explain",
    "explain_pixel",
    "grad_cam",
    "integrated_gradients",
    "occlusion",
    "receptive_field",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
