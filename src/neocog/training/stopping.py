"""Which epoch was the best, and when to stop waiting for a better one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neocog.recipe import TrainSettings


@dataclass
class Stopping:
    """Keeps the best value of the monitored figure and counts the epochs since."""

    monitor: str
    mode: str
    best: float | None = None
    waited: int = 0

    @classmethod
    def from_settings(cls, settings: TrainSettings, *, validates: bool = True) -> Stopping:
        """Choose the direction of the figure; without validation the training figure of the same kind is used."""
        monitor = settings.monitor if validates else settings.monitor.replace("valid_", "train_")
        mode = settings.mode
        if mode == "auto":
            mode = "max" if monitor.endswith("accuracy") else "min"
        return cls(monitor, mode)

    def improves(self, row: Mapping[str, Any], min_delta: float) -> bool:
        """Take in an epoch's figures and say whether its weights are the best so far."""
        value = float(row[self.monitor])
        if not math.isfinite(value):
            better = False
        elif self.best is None:
            better = True
        else:
            gain = self.best - value if self.mode == "min" else value - self.best
            better = gain > min_delta
        if better:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return better

    def exhausted(self, patience: int | None) -> bool:
        """Whether `patience` epochs have gone by without an improvement."""
        return patience is not None and self.waited >= patience
