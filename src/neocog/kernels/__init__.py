"""Fused CPU blocks: convolution, bias, relu and max pooling in one pass, written in C++ behind ordinary modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neocog.kernels.fuse import fused_layers as fused_layers

# `fuse` itself is at `neocog.fuse`: here the name is that of the file.
__all__ = ["fused_layers"]


def __getattr__(name: str) -> Any:
    # Importing this package must not wait for torch (PEP 562).
    if name != "fused_layers":
        raise AttributeError(f"module 'neocog.kernels' has no attribute {name!r}")
    from neocog.kernels.fuse import fused_layers

    return fused_layers
