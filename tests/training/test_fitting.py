import copy
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import neocog
from neocog.data import ImageSet
from neocog.errors import DataError, ModelError, RecipeError, TrainingError
from neocog.models import ScaledNetwork, Scaling
from neocog.training.events import EpochDone, StepDone

Pair = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def digits() -> tuple[Pair, Pair]:
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    pixels = torch.tensor(images[order] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    classes = torch.tensor(labels[order])
    return (pixels[:1400], classes[:1400]), (pixels[1400:], classes[1400:])


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 10),
        )  # fmt: skip


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def fit(model: nn.Module, train: Any, valid: Any = None, **settings: Any) -> Any:
    exact = {"progress": False, "device": "cpu", "precision": "float32", "memory_format": "contiguous"}
    return neocog.fit(model, train, valid, **(exact | settings))


OPTIMIZERS: list[tuple[dict[str, Any], Any]] = [
    (
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
        lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=1e-3),
    ),
    ({"optimizer": "adam", "lr": 1e-3}, lambda weights: torch.optim.Adam(weights, lr=1e-3, foreach=True)),
    (
        {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.1},
        lambda weights: torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.1, foreach=True),
    ),
]


@pytest.mark.parametrize(("settings", "make"), OPTIMIZERS, ids=["sgd", "adam", "adamw"])
def test_it_does_what_a_plain_loop_does_to_the_bit(
    settings: dict[str, Any], make: Any, digits: tuple[Pair, Pair]
) -> None:
    train, _ = digits
    batches = [(train[0][start : start + 64], train[1][start : start + 64]) for start in range(0, 320, 64)]
    ours, plain = network(), network()
    found = fit(ours, batches, epochs=2, monitor="train_loss", **settings)
    optimizer = make(plain.parameters())
    losses = []
    for _ in range(2):
        for images, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(plain(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert found.best_epoch["epoch"] == 2
    assert same(ours, plain)
    assert found.column("train_loss") == pytest.approx([np.mean(losses[:5]), np.mean(losses[5:])], rel=1e-12)


def test_a_shuffled_loader_gives_what_it_gives_a_plain_loop(digits: tuple[Pair, Pair]) -> None:
    train, _ = digits

    def loader() -> DataLoader[Any]:
        data = TensorDataset(train[0][:200], train[1][:200])
        return DataLoader(data, batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(4))

    ours, plain = network(), network()
    fit(ours, loader(), epochs=2, optimizer="sgd", lr=0.05, monitor="train_loss")
    optimizer, batches = torch.optim.SGD(plain.parameters(), lr=0.05), loader()
    for _ in range(2):
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(plain(images), labels).backward()
            optimizer.step()
    assert same(ours, plain)


def test_it_learns(digits: tuple[Pair, Pair]) -> None:
    train, valid = digits
    model = network()
    found = fit(model, train, valid, epochs=8, lr=0.01, batch_size=64, schedule="onecycle")
    assert found.best_epoch["valid_accuracy"] > 0.95
    model.eval()
    with torch.no_grad():
        accuracy = float((model(valid[0]).argmax(1) == valid[1]).double().mean())
    assert accuracy == found.best_epoch["valid_accuracy"], "the best weights are in the model"


@pytest.mark.parametrize("form", ["pair", "imageset", "loader", "list"])
def test_images_in_any_form(form: str, digits: tuple[Pair, Pair]) -> None:
    pixels, labels = (digits[0][0][:96] * 255).round(), digits[0][1][:96]
    images = pixels.to(torch.uint8)
    given: Any = {
        "pair": (images, labels),
        "imageset": ImageSet(images, labels, tuple("0123456789")),
        "loader": DataLoader(TensorDataset(images, labels), batch_size=32),
        "list": [(images[:50].numpy(), labels[:50].tolist()), (images[50:].numpy(), labels[50:].numpy())],
    }[form]
    found = fit(ScaledNetwork(Scaling(), network()), given, given, epochs=2, batch_size=32)
    assert [row["epoch"] for row in found.history] == [1, 2]
    assert set(found.history[0]) == {
        "stage", "epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "learning_rate"
    }  # fmt: skip


def test_the_same_seed_gives_the_same_bits_and_another_one_others(digits: tuple[Pair, Pair]) -> None:
    train = digits[0][0][:200], digits[0][1][:200]
    models = [nn.Sequential(network(), nn.Dropout(0.5)) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        torch.rand(seed)  # the user's generator has no part in it
        fit(model, train, epochs=2, seed=seed, monitor="train_loss", batch_size=32)
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_the_users_generators_threads_and_algorithms_are_left_as_they_were(digits: tuple[Pair, Pair]) -> None:
    before = torch.get_rng_state(), random.getstate(), copy.deepcopy(np.random.get_state())
    fit(nn.Sequential(network(), nn.Dropout(0.5)), digits[1], digits[1], epochs=1, threads=2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    after = np.random.get_state()
    assert np.array_equal(after[1], before[2][1]) and after[2] == before[2][2]
    assert torch.get_num_threads() == 1


def test_an_optimizer_of_ones_own_keeps_its_learning_rate_and_its_share_of_the_weights(
    digits: tuple[Pair, Pair],
) -> None:
    model = network()
    first = model[0].weight.detach().clone()
    optimizer = torch.optim.SGD(model[5].parameters(), lr=0.07)
    found = fit(model, digits[1], epochs=1, optimizer=optimizer, clip_norm=1.0)
    assert found.column("learning_rate") == [0.07]
    assert torch.equal(model[0].weight, first)
    assert not torch.equal(model[5].weight, network()[5].weight)


def test_only_what_is_trained_counts_in_the_norm_of_the_gradient(digits: tuple[Pair, Pair]) -> None:
    images, labels = digits[1][0][:64], digits[1][1][:64]
    ours, plain = network(), network()
    optimizer = torch.optim.SGD(ours[5].parameters(), lr=0.5)
    fit(ours, [(images, labels)] * 3, epochs=1, optimizer=optimizer, clip_norm=0.1)
    head = torch.optim.SGD(plain[5].parameters(), lr=0.5)
    for _ in range(3):
        head.zero_grad()
        F.cross_entropy(plain(images), labels).backward()
        nn.utils.clip_grad_norm_(plain[5].parameters(), 0.1)
        head.step()
    assert same(ours, plain)


def test_what_came_frozen_stays_and_is_not_thawed(digits: tuple[Pair, Pair]) -> None:
    model = network()
    for parameter in [*model[0].parameters(), *model[1].parameters()]:
        parameter.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, digits[1], epochs=1)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"5.weight", "5.bias"}, "nor do the statistics of frozen batch norm"
    assert not model[0].weight.requires_grad and model[5].weight.requires_grad


def test_a_loss_of_ones_own(digits: tuple[Pair, Pair]) -> None:
    called: list[tuple[int, ...]] = []

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        called.append(tuple(logits.shape))
        return F.multi_margin_loss(logits, labels)

    fit(network(), digits[1], epochs=1, batch_size=100, loss=loss)
    assert called == [(100, 10)] * 3 + [(97, 10)]
    with pytest.raises(TrainingError, match=r"must be a single number; it has the shape \(100,\)"):
        fit(network(), digits[1], batch_size=100, loss=lambda x, y: F.cross_entropy(x, y, reduction="none"))


def test_without_validation_the_training_figures_choose(digits: tuple[Pair, Pair]) -> None:
    found = fit(network(), digits[1], epochs=2)
    assert found.best_epoch["train_loss"] == min(found.column("train_loss"))
    assert "valid_loss" not in found.history[0]


@pytest.mark.parametrize("event", [StepDone, EpochDone])
def test_a_listener_may_stop_it(event: type, digits: tuple[Pair, Pair]) -> None:
    model = network()
    found = fit(model, digits[1], epochs=5, listeners=[lambda seen: "done here" if isinstance(seen, event) else None])
    assert found.reason == "done here"
    assert len(found.history) == (event is EpochDone)
    assert not model.training


def test_early_stopping_leaves_the_best_weights(digits: tuple[Pair, Pair]) -> None:
    train, valid = digits
    wrong = valid[0], (valid[1] + 1) % 10
    found = fit(network(), train, wrong, epochs=20, patience=2, batch_size=100)
    assert found.reason == "early"
    assert len(found.history) == found.best_epoch["epoch"] + 2


def test_a_training_that_diverges_leaves_the_best_weights_in_the_model(digits: tuple[Pair, Pair]) -> None:
    model = network()
    best: list[torch.Tensor] = []

    def spoil(event: object) -> None:
        if isinstance(event, EpochDone):
            best.append(model[0].weight.detach().clone())
            with torch.no_grad():
                model[0].weight.fill_(math.nan)

    with pytest.raises(TrainingError, match="epoch 2, step 1"):
        fit(model, digits[1], epochs=3, listeners=[spoil])
    assert torch.equal(model[0].weight, best[0])
    assert not model.training


def test_weights_that_the_last_step_ruined_are_not_kept(digits: tuple[Pair, Pair]) -> None:
    model = network()

    def spoil(event: object) -> None:
        if isinstance(event, StepDone) and event.step == event.steps:
            with torch.no_grad():
                model[5].bias.fill_(math.nan)

    with pytest.raises(TrainingError, match="end of epoch 1"):
        fit(model, digits[1], epochs=1, listeners=[spoil])


IMAGES, LABELS = torch.rand(6, 1, 8, 8), torch.arange(6)


@pytest.mark.parametrize(
    ("train", "valid", "settings", "error", "says"),
    [
        ((IMAGES, LABELS), None, {"epoch": 3}, RecipeError, "no setting 'epoch'. Did you mean 'epochs'"),
        ((IMAGES, LABELS), None, {"epochs": 0}, RecipeError, "train.epochs = 0"),
        ((IMAGES, LABELS), None, {"rotate": 10}, RecipeError, "augment.rotate has no effect"),
        ((IMAGES, LABELS), None, {"class_weights": "balanced"}, RecipeError, "needs the class counts"),
        ((IMAGES, LABELS), None, {"class_weights": [1.0, 2.0]}, RecipeError, "2 weights for 10 classes"),
        ((IMAGES, LABELS), None, {"device": "cuda:77"}, RecipeError, "no such device"),
        ((IMAGES, LABELS[:5]), None, {}, DataError, "6 images and 5 labels"),
        ((IMAGES[:0], LABELS[:0]), None, {}, DataError, "0 images"),
        ((IMAGES, LABELS + 7), None, {}, DataError, "there is a label 1"),
        ((IMAGES, LABELS - 1), None, {}, DataError, "there is a label -1"),
        ((IMAGES, F.one_hot(LABELS)), None, {}, DataError, r"labels.argmax\(1\)"),
        (IMAGES, LABELS, {}, DataError, "got Tensor"),
        ([], None, {}, DataError, "not a single batch"),
        ((IMAGES, LABELS), iter([(IMAGES, LABELS)]), {}, DataError, r"Wrap a generator in list"),
        ((IMAGES, LABELS), 5, {}, DataError, "got int"),
        ((IMAGES, LABELS), (IMAGES, LABELS + 100), {}, DataError, "there is a label 105"),
    ],
)
def test_mistakes(train: Any, valid: Any, settings: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        fit(network(), train, valid, **settings)


def test_mistakes_in_the_model_and_the_optimizer() -> None:
    with pytest.raises(ModelError, match="expected logits"):
        fit(nn.Conv2d(1, 2, 3), (IMAGES, LABELS))
    with pytest.raises(RecipeError, match="nothing to train"):
        fit(nn.Flatten(), (IMAGES, LABELS))
    model = network()
    with pytest.raises(RecipeError, match=r"train\.lr has no effect on an optimizer of your own"):
        fit(model, (IMAGES, LABELS), optimizer=torch.optim.SGD(model.parameters(), lr=0.1), lr=0.2)


def test_a_loss_of_the_recipe_can_be_named(digits: tuple[Pair, Pair]) -> None:
    named = neocog.fit(network(), digits[0], loss="map", epochs=1, progress=False)
    default = neocog.fit(network(), digits[0], epochs=1, progress=False)
    assert named.history[0]["train_loss"] != default.history[0]["train_loss"]
    with pytest.raises(RecipeError, match="loss"):
        neocog.fit(network(), digits[0], loss="hinge", epochs=1, progress=False)
