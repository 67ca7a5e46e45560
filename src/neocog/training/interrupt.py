"""Ctrl-C as a wish to stop at the next step, so that the checkpoint is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

from neocog.training.events import Event

INTERRUPTED = "interrupted"


class Interrupt:
    """A listener that asks to stop once Ctrl-C (SIGINT) or SIGTERM has come; a second Ctrl-C stops at once.

    Use it as a context: outside it, and in threads other than the main one, signals mean what they meant before.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python, which cannot be put back.
            if handler is not None:
                signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave

    def __call__(self, event: Event) -> str | None:
        """Give the reason to stop once it was asked for."""
        return INTERRUPTED if self.asked else None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
