"""From settings to one of PyTorch's optimisers, and its state as tensors and plain numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from neocog.recipe import TrainSettings
from neocog.training.muon import Muon


def build_optimizer(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], settings: TrainSettings
) -> Optimizer:
    """Build SGD, Adam, AdamW or Muon over the parameters that are to be trained, or groups of them.

    A group's "factor", where it has one, multiplies the learning rate of its parameters.
    """
    chosen: Any = list(parameters)
    if settings.optimizer == "sgd":
        return SGD(
            chosen,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
    if settings.optimizer == "muon":
        return Muon(
            [one for group in chosen for one in (group["params"] if isinstance(group, dict) else [group])],
            lr=settings.lr,
            muon_lr=settings.muon_lr,
            betas=settings.betas,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
        )
    kind: type[Adam] = {"adam": Adam, "adamw": AdamW}[settings.optimizer]
    return kind(
        chosen,
        lr=settings.lr,
        betas=settings.betas,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        foreach=True,
    )


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every group of parameters the learning rate `rate`, times its "factor" where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


def optimizer_tensors(optimizer: Optimizer) -> tuple[dict[str, torch.Tensor], str]:
    """Take an optimiser's state apart into named tensors and a JSON text of the plain numbers."""
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    groups = [{key: value for key, value in group.items() if _is_plain(value)} for group in state["param_groups"]]
    return tensors, json.dumps({"state": plain, "groups": groups})


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, torch.Tensor], plain: str) -> None:
    """Put back what `optimizer_tensors` took apart."""
    stored = json.loads(plain)
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in stored["state"].items()}
    for name, tensor in tensors.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = tensor
    current = optimizer.state_dict()["param_groups"]
    groups = [
        now | {key: tuple(value) if isinstance(now.get(key), tuple) else value for key, value in then.items()}
        for now, then in zip(current, stored["groups"], strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple)
