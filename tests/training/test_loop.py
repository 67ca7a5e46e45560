import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.small import StopAt, Training, images, stages

from neocog.errors import DataError, ModelError, TrainingError
from neocog.training.batches import LoaderBatches
from neocog.training.evaluation import OrderedBatches, batch_size_for, evaluate
from neocog.training.events import EpochDone, StageStarted, StepDone, Stopped, Validating
from neocog.training.hardware import Hardware
from neocog.training.loop import Work

CPU = Hardware(torch.device("cpu"), False, False, 1)


def test_events_come_in_order_and_count_right(tmp_path: Path) -> None:
    training = Training(stages({"epochs": 2}, {"name": "a"}, {"name": "b", "train": {"epochs": 1}}), tmp_path)
    listener = StopAt(-1)
    assert training.go(listener) == Stopped("finished", True)
    steps = [StepDone] * 6
    epoch = [*steps, Validating, EpochDone]
    assert [type(event) for event in listener.events] == [StageStarted, *epoch, *epoch, StageStarted, *epoch, Stopped]
    done = [event for event in listener.events if isinstance(event, StepDone)]
    assert [event.images for event in done[:6]] == [8, 16, 24, 32, 40, 43]
    assert [(row["stage"], row["epoch"]) for row in training.state.history] == [("a", 1), ("a", 2), ("b", 1)]
    started = [event for event in listener.events if isinstance(event, StageStarted)]
    assert [(event.stage, event.name, event.epochs, event.steps) for event in started] == [
        (0, "a", 2, 6),
        (1, "b", 1, 6),
    ]


def test_a_row_holds_what_the_epoch_was(tmp_path: Path) -> None:
    training = Training(stages({"epochs": 1, "schedule": "cosine"}), tmp_path)
    listener = StopAt(-1)
    training.go(listener)
    row = training.state.history[0]
    last = [event for event in listener.events if isinstance(event, StepDone)][-1]
    assert row["train_loss"] == last.loss and row["train_accuracy"] == last.accuracy
    figures = evaluate(training.model, OrderedBatches(*images(12, seed=1)), CPU)
    assert (row["valid_loss"], row["valid_accuracy"]) == (figures.loss, figures.accuracy)
    assert row["learning_rate"] == pytest.approx(1e-3 * (1 + math.cos(math.pi * 5 / 6)) / 2)


def test_the_first_listeners_reason_counts_and_a_stage_can_be_stopped_before_its_first_step(tmp_path: Path) -> None:
    training = Training(stages({}), tmp_path)
    assert training.go(StopAt(0), lambda event: "other") == Stopped("enough", False)
    assert training.state.step == 0 and training.state.history == []


def test_early_stopping_ends_a_stage_and_the_next_one_waits_anew(tmp_path: Path) -> None:
    chosen = stages({"epochs": 9, "lr": 1e-12, "patience": 2, "min_delta": 1.0}, {"name": "a"}, {"name": "b"})
    training = Training(chosen, tmp_path)
    assert training.go() == Stopped("early", True)
    assert [row["stage"] for row in training.state.history] == ["a"] * 3 + ["b"] * 2
    assert training.state.best_row()["epoch"] == 1


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    training = Training(stages({"epochs": 6, "lr": 0.05}), tmp_path)
    training.go()
    losses = [row["valid_loss"] for row in training.state.history]
    assert training.state.best_row()["valid_loss"] == min(losses)
    training.network.load_state_dict(training.state.best or {})
    assert evaluate(training.model, OrderedBatches(*images(12, seed=1)), CPU).loss == min(losses)


def test_the_last_weights_are_kept_where_the_recipe_says_so(tmp_path: Path) -> None:
    training = Training(stages({"epochs": 6, "lr": 0.05, "keep": "last"}), tmp_path)
    training.go()
    losses = [row["valid_loss"] for row in training.state.history]
    assert training.state.best_row()["epoch"] == 6
    assert losses[-1] > min(losses)  # else the best and the last would be the same
    assert training.state.stopping.best == min(losses)
    training.network.load_state_dict(training.state.best or {})
    assert evaluate(training.model, OrderedBatches(*images(12, seed=1)), CPU).loss == losses[-1]


def test_dropout_stays_active_in_validation_where_the_recipe_says_so(tmp_path: Path) -> None:
    values = {"epochs": 1, "keep": "last"}
    plain, active, again = (
        Training(stages(values | {"validation_dropout": wanted}), tmp_path) for wanted in (False, True, True)
    )
    for training in (plain, active, again):
        training.go()
    first, second = (training.state.history[0] for training in (plain, active))
    assert first["train_loss"] == second["train_loss"]
    assert first["valid_loss"] != second["valid_loss"]
    assert again.state.history == active.state.history
    state, batches = active.network.state_dict(), OrderedBatches(*images(12, seed=1))
    active.model.load_state_dict({f"network.{name}": tensor for name, tensor in state.items()})
    assert evaluate(active.model, batches, CPU).loss == first["valid_loss"]
    evaluate(active.model, batches, CPU, dropout=True)
    assert [name for name, module in active.network.named_modules() if module.training] == ["dropout1"]


def test_frozen_weights_do_not_move_and_others_do(tmp_path: Path) -> None:
    chosen = stages({"epochs": 1, "weight_decay": 0.5}, {"name": "a"}, {"name": "b", "freeze": ["conv*", "batchnorm1"]})
    training = Training(chosen, tmp_path)
    kept: dict[str, torch.Tensor] = {}

    def keep(event: object) -> None:
        if isinstance(event, StageStarted):
            kept.clear()
            kept.update({name: tensor.clone() for name, tensor in training.network.state_dict().items()})

    training.go(keep)
    moved = {name for name, tensor in training.network.state_dict().items() if not torch.equal(tensor, kept[name])}
    assert moved == {"linear1.weight", "linear1.bias"}


def test_a_loss_that_is_not_finite_stops_and_says_where_and_what_to_try(tmp_path: Path) -> None:
    training = Training(stages({"epochs": 3, "lr": 0.5}), tmp_path)

    def spoil(event: object) -> None:
        if isinstance(event, StepDone) and (event.epoch, event.step) == (1, 2):
            with torch.no_grad():
                training.network.get_parameter("linear1.weight").fill_(math.nan)

    with pytest.raises(
        TrainingError, match=r"loss is nan at epoch 2, step 3: .*best weights.*kept.*lr = 0.05"
    ) as raised:
        training.go(spoil)
    assert "clip_norm" in str(raised.value)
    assert training.state.best is not None
    assert all(bool(tensor.isfinite().all()) for tensor in training.state.best.values())
    restored = training.restored()
    assert len(restored.state.history) == 1 and restored.go().finished


def test_a_validation_loss_that_is_not_finite_stops_too(tmp_path: Path) -> None:
    training = Training(stages({"epochs": 2}), tmp_path)

    def spoil(event: object) -> None:
        if isinstance(event, StepDone) and (event.epoch, event.step) == (1, 6):
            with torch.no_grad():
                training.network.get_parameter("linear1.bias").fill_(math.inf)

    with pytest.raises(TrainingError, match="validation loss is nan at the end of epoch 2"):
        training.go(spoil)
    assert training.state.best is not None and len(training.state.history) == 1


@pytest.mark.parametrize(
    ("logits", "error", "says"),
    [
        (lambda x: torch.zeros(len(x), 2), DataError, "gives 2 logits, for the labels 0 to 1; there is a label 2"),
        (lambda x: torch.zeros(len(x), 3, 1), ModelError, r"expected logits of shape \(12, classes\)"),
        (lambda x: (torch.zeros(len(x), 3),), ModelError, "got tuple"),
        (lambda x: torch.zeros(3), ModelError, r"got a tensor \(3,\)"),
    ],
)
def test_answers_that_are_no_logits_for_the_labels_are_refused(logits, error: type[Exception], says: str) -> None:  # type: ignore[no-untyped-def]
    class Answers(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> object:
            return logits(x)

    with pytest.raises(error, match=says):
        evaluate(Answers(), OrderedBatches(*images(12)), CPU)


def test_labels_below_zero_are_refused() -> None:
    with pytest.raises(DataError, match="there is a label -1"):
        evaluate(torch.nn.Linear(2, 2), [(torch.zeros(1, 2), torch.tensor([-1]))], CPU)


def test_nothing_to_evaluate_on_is_refused() -> None:
    with pytest.raises(DataError, match="not a single image"):
        evaluate(torch.nn.Linear(2, 2), [], CPU)


def test_batch_norm_on_one_image_whose_channels_are_single_numbers() -> None:
    from neocog import fit

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    pair = torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    with pytest.raises(TrainingError, match="batch norm cannot train on a batch of one image"):
        fit(model, pair, epochs=1, batch_size=1, progress=False)
    assert fit(model, pair, epochs=1, batch_size=2, progress=False).reason == "finished"


def test_an_empty_batch_is_refused(tmp_path: Path) -> None:
    training = Training(stages({}), tmp_path)
    empty = LoaderBatches([(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64))])
    training.job = replace(training.job, work=lambda stage: Work(training.model, empty, None))
    with pytest.raises(TrainingError, match="a batch was empty"):
        training.go()


def test_loss_and_accuracy_are_means_over_all_images_whatever_the_batches() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    pixels, labels = torch.randn(11, 4), torch.arange(11) % 3
    batches = [(pixels[:1], labels[:1]), (pixels[1:7], labels[1:7]), (pixels[7:], labels[7:])]
    found = evaluate(model, batches, CPU)
    with torch.no_grad():
        logits = model(pixels)
    assert found.loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits.double(), labels)), rel=1e-6)
    assert found.accuracy == float((logits.argmax(1) == labels).double().mean())
    assert found.images == 11


def test_batches_to_evaluate_on_fit_memory() -> None:
    assert batch_size_for((1, 28, 28)) == 500
    assert batch_size_for((3, 224, 224)) == 13
    assert batch_size_for((3, 8192, 8192)) == 1
