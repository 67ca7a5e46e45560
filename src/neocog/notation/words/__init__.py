"""The layer words. A new one is a file here with a `Layer` and its reader, and a line in `READERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from neocog.notation.arguments import Arguments
from neocog.notation.words import activation, conv, dense, pool, rbf, regular, subsample
from neocog.notation.words.base import Layer

READERS: Mapping[str, Callable[[Arguments], Layer]] = MappingProxyType(
    {
        "conv": conv.read,
        "maxpool": pool.read_max,
        "avgpool": pool.read_average,
        "globalavgpool": pool.read_global,
        "subsample": subsample.read,
        **dict.fromkeys(activation.ACTIVATIONS, activation.read),
        "batchnorm": regular.read_batchnorm,
        "dropout": regular.read_dropout,
        "flatten": dense.read_flatten,
        "linear": dense.read_linear,
        "rbf": rbf.read,
    }
)
