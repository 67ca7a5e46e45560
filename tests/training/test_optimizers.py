import json
from typing import Any

import pytest
import torch
from torch import nn

from neocog.recipe import TrainSettings
from neocog.training.optimizers import build_optimizer, optimizer_tensors, restore_optimizer, set_learning_rate

KINDS: list[dict[str, Any]] = [
    {"optimizer": "sgd", "lr": 0.1},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"optimizer": "adam", "lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.1},
    {"optimizer": "adamw", "lr": 0.01, "epsilon": 1e-6, "weight_decay": 0.1},
]
MUON: dict[str, Any] = {"optimizer": "muon", "lr": 0.01, "muon_lr": 0.05, "weight_decay": 0.1}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (4,), (), (6, 2, 3, 3))]


def steps(optimizer: torch.optim.Optimizer, chosen: list[nn.Parameter], first: int, last: int) -> None:
    for step in range(first, last):
        for parameter in chosen:
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step))
        optimizer.step()


@pytest.mark.parametrize("settings", KINDS)
def test_it_is_the_optimiser_of_pytorch(settings: dict[str, Any]) -> None:
    names = {"epsilon": "eps"}
    arguments = {names.get(name, name): value for name, value in settings.items() if name != "optimizer"}
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["optimizer"]]
    ours, theirs = parameters(), parameters()
    steps(build_optimizer(ours, TrainSettings(**settings)), ours, 0, 5)
    steps(kind(theirs, **arguments), theirs, 0, 5)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("settings", [*KINDS, MUON])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_taken_apart_and_put_together_it_goes_on_with_the_same_bits(settings: dict[str, Any], taken: int) -> None:
    unbroken, broken = parameters(), parameters()
    steps(build_optimizer(unbroken, TrainSettings(**settings)), unbroken, 0, 6)
    first = build_optimizer(broken, TrainSettings(**settings))
    steps(first, broken, 0, taken)
    tensors, plain = optimizer_tensors(first)
    assert json.loads(plain)
    second = build_optimizer(broken, TrainSettings(**settings))
    restore_optimizer(second, {name: tensor.clone() for name, tensor in tensors.items()}, plain)
    steps(second, broken, taken, 6)
    for one, other in zip(broken, unbroken, strict=True):
        assert torch.equal(one, other)


def test_every_group_gets_the_learning_rate() -> None:
    first, second, *_ = parameters()
    optimizer = torch.optim.SGD([{"params": [first], "lr": 1.0}, {"params": [second], "lr": 2.0}], lr=3.0)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
