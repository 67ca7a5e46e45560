import pytest
import torch
from tests.training.small import NETWORK, stages
from torch import nn

from neocog.errors import RecipeError
from neocog.models import build
from neocog.recipe import TrainSettings
from neocog.training.optimizers import build_optimizer, set_learning_rate
from neocog.training.state import State, check_stages, freeze, trained_groups, training_mode
from neocog.training.stopping import Stopping


def network() -> nn.Module:
    return build(NETWORK, (1, 8, 8), 3, seed=0)


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


ALL = {f"{layer}.{kind}" for layer in ("conv1", "batchnorm1", "conv2", "linear1") for kind in ("weight", "bias")}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ([], ALL),
        (["conv*"], {"batchnorm1.weight", "batchnorm1.bias", "linear1.weight", "linear1.bias"}),
        (["conv1", "*.bias"], {"batchnorm1.weight", "conv2.weight", "linear1.weight"}),
        (["conv1.weight"], ALL - {"conv1.weight"}),
    ],
)
def test_exactly_what_matches_is_frozen(patterns: list[str], left: set[str]) -> None:
    model = network()
    freeze(model, ["linear1"])
    freeze(model, patterns)
    assert trained(model) == left


def test_a_pattern_reaches_what_is_nested() -> None:
    model = build("2 * (conv 4 3x3 same | relu) | flatten | linear 2", (1, 4, 4), 2)
    freeze(model, ["block1"])
    assert trained(model) == {"block2.conv1.weight", "block2.conv1.bias", "linear1.weight", "linear1.bias"}


def test_what_came_frozen_stays_frozen_through_all_stages() -> None:
    model = network()
    model.get_parameter("conv1.weight").requires_grad_(False)
    state = State(model, Stopping("valid_loss", "min"))
    for stage in stages({}, {"name": "a", "freeze": ["linear1"]}, {"name": "b"}):
        state.prepare_stage(stage)
        assert not model.get_parameter("conv1.weight").requires_grad
    assert trained(model) == ALL - {"conv1.weight"}


def test_a_stage_trains_only_what_is_not_frozen() -> None:
    state = State(network(), Stopping("valid_loss", "min"))
    state.prepare_stage(stages({}, {"name": "a", "freeze": ["conv*", "batchnorm1"]})[0])
    assert state.optimizer is not None
    assert sum(len(group["params"]) for group in state.optimizer.param_groups) == 2


@pytest.mark.parametrize(
    ("freezes", "says"),
    [
        (["cnov*"], r"stage 's': freeze = \['cnov\*'\].*batchnorm1, conv1, conv2, linear1"),
        (["*"], "every weight is frozen"),
    ],
)
def test_a_stage_that_cannot_train_is_refused_before_anything_begins(freezes: list[str], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        check_stages(network(), stages({}, {"name": "first"}, {"name": "s", "freeze": freezes}))


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    model = network()
    freeze(model, ["batchnorm1"])
    training_mode(model)
    before = model.state_dict()["batchnorm1.running_mean"].clone()
    model(torch.rand(4, 1, 8, 8))
    assert torch.equal(model.state_dict()["batchnorm1.running_mean"], before)
    freeze(model, [])
    training_mode(model)
    model(torch.rand(4, 1, 8, 8))
    assert not torch.equal(model.state_dict()["batchnorm1.running_mean"], before)


def test_the_best_weights_are_a_copy_and_know_their_row() -> None:
    state = State(network(), Stopping("valid_loss", "min"))
    assert state.best_row() == {}
    state.history.append({"epoch": 1})
    state.keep_weights()
    state.history.append({"epoch": 2})
    with torch.no_grad():
        state.network.get_parameter("linear1.bias").add_(1)
    assert state.best is not None
    assert not torch.equal(state.best["linear1.bias"], state.network.get_parameter("linear1.bias"))
    assert state.best_row() == {"epoch": 1}


def test_averaged_weights_are_the_ones_kept() -> None:
    state = State(network(), Stopping("valid_loss", "min"))
    state.prepare_stage(stages({"ema": 0.9})[0])
    with torch.no_grad():
        state.network.get_parameter("linear1.bias").add_(1)
    state.history.append({})
    state.keep_weights()
    assert state.best is not None and state.average is not None
    assert torch.equal(state.best["linear1.bias"], state.average.tensors["linear1.bias"])


def test_each_block_has_the_rate_of_the_one_behind_it_times_the_decay() -> None:
    model = build("conv 4 3x3 | batchnorm | relu | conv 4 3x3 | relu | flatten | linear 5 | linear 2", (1, 8, 8))
    freeze(model, ["linear2"])
    groups = trained_groups(model, TrainSettings(layer_lr_decay=0.5))
    assert [(group["block"], group["factor"], len(group["params"])) for group in groups] == [
        ("conv1", 0.25, 4),
        ("conv2", 0.5, 2),
        ("linear1", 1.0, 2),
    ]
    optimizer = build_optimizer(groups, TrainSettings(layer_lr_decay=0.5))
    set_learning_rate(optimizer, 0.08)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.04, 0.08]


def test_without_a_decay_all_that_is_trained_is_one_group() -> None:
    model = build("conv 4 3x3 | flatten | linear 2", (1, 8, 8))
    freeze(model, ["conv1"])
    (group,) = trained_groups(model, TrainSettings())
    assert [tuple(parameter.shape) for parameter in group["params"]] == [(2, 144), (2,)]
