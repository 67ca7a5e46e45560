"""How much memory there is to use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_GIB = 2**30
_UNKNOWN = 4 * _GIB


def available_memory() -> int:
    """Bytes that this process may take without pushing others out; a guess where the system is silent."""
    limits = [limit for limit in (_meminfo(), _container()) if limit is not None]
    if limits:
        return min(limits)
    # macOS tells the memory that is built in, not what is free
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return _UNKNOWN


def _meminfo() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _container() -> int | None:
    """What is left of the limit of a container (cgroup 2)."""
    folder = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit = (folder / "memory.max").read_text().strip()
        if limit != "max":
            return max(0, int(limit) - int((folder / "memory.current").read_text()))
    return None
