"""Looking through a data set before it is trusted: damaged files, duplicates, leaks and likely label errors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neocog.auditing.findings import Finding, Item
    from neocog.auditing.result import Audit
    from neocog.auditing.steps import audit

_HOME = {"Audit": "result", "Finding": "findings", "Item": "findings", "audit": "steps"}

__all__ = ["Audit", "Finding", "Item", "audit"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
