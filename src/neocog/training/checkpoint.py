"""The state of a training as one file, `last.safetensors`: tensors, and the plain rest as JSON in its metadata."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from neocog.errors import RunError
from neocog.files import whole_file
from neocog.models.misfit import describe
from neocog.training.average import copy_weights
from neocog.training.optimizers import optimizer_tensors, restore_optimizer
from neocog.training.state import State

# One key holds all the metadata: the format stores several in an order that differs from process to process.
METADATA_KEY = "neocog"
_PLACE = ("stage", "epoch", "step", "loss_sum", "correct", "seen", "finished", "history", "best_at")


class Checkpointer:
    """Writes the state when it must not be lost, and about every `seconds` otherwise.

    `context` is stored along with it and given back by `read`, such as a fingerprint of the data.
    """

    def __init__(self, path: Path, seconds: float, context: Mapping[str, Any]) -> None:
        self.path, self.seconds, self.context = path, seconds, dict(context)
        self._written, self._cost = time.monotonic(), 0.0

    def __call__(self, state: State, now: bool) -> None:
        """Write the state if `now`, or if it is due; a file that takes long to write is due less often."""
        begun = time.monotonic()
        if not now and begun - self._written < max(self.seconds, 20 * self._cost):
            return
        write(self.path, state, self.context)
        self._written = time.monotonic()
        self._cost = self._written - begun


def write(path: Path, state: State, context: Mapping[str, Any]) -> None:
    """Write a state to `path`, whole or not at all."""
    tensors = _prefixed("network", state.network.state_dict())
    plain: dict[str, Any] = {name: getattr(state, name) for name in _PLACE}
    plain |= {"context": dict(context), "stopping": vars(state.stopping), "cached": state.cached}
    if state.optimizer is not None:
        own, plain["optimizer"] = optimizer_tensors(state.optimizer)
        tensors |= _prefixed("optimizer", own)
    if state.average is not None:
        tensors |= _prefixed("average", state.average.tensors)
        plain["average_steps"] = state.average.steps
    if state.best is not None:
        tensors |= _prefixed("best", state.best)
    save_tensors(path, tensors, plain)


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a checkpoint's tensors and plain values; raises `RunError` where it is damaged."""
    try:
        with safe_open(str(path), framework="pt") as file:
            plain = json.loads((file.metadata() or {})[METADATA_KEY])
            if not {"context", "stopping", *_PLACE} <= plain.keys():
                raise ValueError("it holds weights, but not the state of a training")
            return {name: file.get_tensor(name) for name in file.keys()}, plain  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError) as error:
        raise RunError(
            f"{path} is not a checkpoint that can be read ({error}). Train anew, or restore the file."
        ) from error


def restore(state: State, tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any], stages: Any) -> None:
    """Put a checkpoint's content into a fresh state whose network has its device and layout already.

    Raises `RunError` where the checkpoint is of another network.
    """
    _check_fits(state.network, _under("network", tensors))
    for name in _PLACE:
        setattr(state, name, plain[name])
    state.cached = plain.get("cached")
    for name, value in plain["stopping"].items():
        setattr(state.stopping, name, value)
    copy_weights(state.network, _under("network", tensors))
    state.best = _under("best", tensors) or None
    if "optimizer" in plain:
        state.prepare_stage(stages[state.stage])
        if state.optimizer is not None:
            restore_optimizer(state.optimizer, _under("optimizer", tensors), plain["optimizer"])
            _as_laid_out(state.optimizer)
    if state.average is not None:
        state.average.steps = plain["average_steps"]
        for name, tensor in _under("average", tensors).items():
            state.average.tensors[name].copy_(tensor)


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any]) -> None:
    """Write tensors and JSON metadata as safetensors; the same content gives the same bytes."""
    flat = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in sorted(tensors.items())}
    with whole_file(path) as temporary:
        try:
            save_file(flat, str(temporary), metadata={METADATA_KEY: json.dumps(plain, ensure_ascii=False)})
        except SafetensorError as error:
            # The library wraps the system's error; a full disk must look like one.
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error)) from error


def _check_fits(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    complaint = describe("the checkpoint", network.state_dict(), tensors)
    if complaint:
        raise RunError(f"{complaint} Resume with the network and the recipe that the run began with, or train anew.")


def _as_laid_out(optimizer: torch.optim.Optimizer) -> None:
    # A vectorised and a strided loop may round differently: each tensor gets its parameter's strides back.
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            # PyTorch counts an optimiser's steps on the CPU whatever the device of its parameters.
            if name != "step" and isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
