import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from neocog.recipe import TrainSettings
from neocog.training.schedule import learning_rate


def torch_rates(scheduler: LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        if len(rates) < steps:
            scheduler.step()
    return rates


def optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(steps: int, settings: TrainSettings) -> list[float]:
    return [learning_rate(settings, step, steps) for step in range(settings.epochs * steps)]


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (1, 10), (4, 469), (7, 3)])
def test_onecycle_is_that_of_pytorch(epochs: int, steps: int) -> None:
    ours = rates(steps, TrainSettings(epochs=epochs, lr=0.01, schedule="onecycle"))
    theirs = torch_rates(OneCycleLR(optimizer(0.01), max_lr=0.01, total_steps=epochs * steps), epochs * steps)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (3, 7), (5, 100)])
def test_cosine_is_that_of_pytorch(epochs: int, steps: int) -> None:
    ours = rates(steps, TrainSettings(epochs=epochs, lr=0.3, schedule="cosine"))
    theirs = torch_rates(CosineAnnealingLR(optimizer(0.3), T_max=epochs * steps), epochs * steps)
    assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("every", "steps"), [(1.0, 5), (2.0, 3), (0.5, 4)])
def test_step_is_that_of_pytorch(every: float, steps: int) -> None:
    settings = TrainSettings(epochs=6, lr=0.5, schedule="step", step_epochs=every, step_factor=0.3)
    theirs = torch_rates(StepLR(optimizer(0.5), step_size=int(every * steps), gamma=0.3), 6 * steps)
    assert rates(steps, settings) == pytest.approx(theirs, rel=1e-12)


def test_constant_stays() -> None:
    assert set(rates(5, TrainSettings(epochs=2, lr=0.25))) == {0.25}


def test_warm_up_rises_linearly_and_then_is_over() -> None:
    found = rates(4, TrainSettings(epochs=3, lr=1.0, warmup_epochs=1.5))
    assert found == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1, 1, 1, 1, 1, 1])
    cosine = TrainSettings(epochs=3, lr=1.0, schedule="cosine")
    warmed = cosine.model_copy(update={"warmup_epochs": 1.0})
    assert rates(4, warmed)[4:] == rates(4, cosine)[4:]
    assert rates(4, warmed)[1] == pytest.approx(0.5 * rates(4, cosine)[1])


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "onecycle"])
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_rates_are_above_zero_and_never_above_the_highest(schedule: str, steps: int) -> None:
    settings = TrainSettings.model_validate({"epochs": 2, "lr": 0.1, "schedule": schedule})
    assert all(0 < rate <= 0.1 * (1 + 1e-12) for rate in rates(steps, settings))
