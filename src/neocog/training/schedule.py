"""The learning rate as a function of the step, so that there is no state to save."""

from __future__ import annotations

import math

from neocog.recipe import TrainSettings


def learning_rate(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """Give the learning rate of `step` (counted from 0 over the whole stage).

    `onecycle` rises from a 25th of `lr` to `lr` along a cosine in the first 30 % of the steps and falls to
    a ten-thousandth of that start along another (Smith and Topin 2018, with the defaults of PyTorch's OneCycleLR);
    `cosine` falls from `lr` to 0 (Loshchilov and Hutter 2017); `step` multiplies by `step_factor` every
    `step_epochs`. `warmup_epochs` multiplies by a linear rise first.
    """
    total = settings.epochs * steps_per_epoch
    warmup = settings.warmup_epochs * steps_per_epoch
    factor = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return settings.lr * factor * _shape(settings, step, total, steps_per_epoch)


def _shape(settings: TrainSettings, step: int, total: int, steps_per_epoch: int) -> float:
    match settings.schedule:
        case "constant":
            return 1.0
        case "step":
            return float(settings.step_factor ** math.floor(step / (settings.step_epochs * steps_per_epoch)))
        case "cosine":
            return _cosine(1.0, 0.0, step / total)
        case "onecycle":
            top = 0.3 * total - 1
            if step <= top:
                return _cosine(1 / 25, 1.0, step / top if top > 0 else 1.0)
            return _cosine(1.0, 1 / 25 / 1e4, (step - top) / (total - 1 - top) if total - 1 > top else 1.0)


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2
