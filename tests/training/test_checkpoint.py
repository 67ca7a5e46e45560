import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.training.small import StopAt, Training, stages

from neocog.errors import RunError
from neocog.models import build
from neocog.recipe import Stage
from neocog.training import checkpoint
from neocog.training.checkpoint import Checkpointer
from neocog.training.events import EpochDone, StepDone, Stopped, Validating
from neocog.training.state import State
from neocog.training.stopping import Stopping

FROZEN_THEN_ALL = stages(
    {"epochs": 3, "lr": 0.02, "clip_norm": 0.5, "patience": 2, "min_delta": 0.01, "class_weights": "balanced"},
    {
        "name": "head",
        "freeze": ["conv*", "batchnorm1"],
        "train": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    },
    {"name": "all", "train": {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "epochs": 2}},
)
ALL_THEN_FROZEN = stages(
    {"epochs": 2, "lr": 0.02, "clip_norm": 0.5, "ema": 0.9, "label_smoothing": 0.1, "warmup_epochs": 0.5},
    {"name": "all", "train": {"optimizer": "adam", "schedule": "onecycle"}},
    {"name": "head", "freeze": ["conv1"], "train": {"optimizer": "sgd", "momentum": 0.5, "class_weights": [1, 2, 3]}},
)
PLAIN = stages({"epochs": 3, "lr": 0.1, "optimizer": "sgd", "monitor": "valid_accuracy", "patience": 1})


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("chosen", [FROZEN_THEN_ALL, ALL_THEN_FROZEN, PLAIN], ids=["thaw", "freeze", "plain"])
def test_stopped_at_any_event_and_restored_it_ends_with_the_same_bits(
    chosen: tuple[Stage, ...], channels_last: bool, tmp_path: Path
) -> None:
    unbroken = Training(chosen, tmp_path, channels_last=channels_last)
    counter = StopAt(-1)
    assert unbroken.go(counter).finished
    expected = unbroken.path.read_bytes()
    kinds = set()
    events = len(counter.events) - 1
    picked = sorted(random.Random(len(chosen) + channels_last).sample(range(events), 6)) + [
        number for number, event in enumerate(counter.events) if isinstance(event, Validating | EpochDone)
    ]
    for number in picked:
        broken = Training(chosen, tmp_path, channels_last=channels_last)
        listener = StopAt(number)
        assert broken.go(listener) == Stopped("enough", False)
        kinds.add(type(listener.events[-2]))
        restored = broken.restored()
        assert restored.go().finished
        assert restored.path.read_bytes() == expected, counter.events[number]
        assert restored.state.history == unbroken.state.history
    assert kinds >= {StepDone, Validating, EpochDone}


def test_saved_after_every_step_it_goes_on_from_any_of_the_files(tmp_path: Path) -> None:
    unbroken = Training(ALL_THEN_FROZEN, tmp_path)
    files: list[bytes] = []

    def keep(event: object) -> None:
        if isinstance(event, StepDone):
            checkpoint.write(tmp_path / "step", unbroken.state, {})
            files.append((tmp_path / "step").read_bytes())

    unbroken.go(keep)
    expected = unbroken.path.read_bytes()
    assert len(files) == 4 * 6
    for content in files[::3]:
        unbroken.path.write_bytes(content)
        restored = unbroken.restored()
        restored.go()
        assert restored.path.read_bytes() == expected


def test_a_finished_training_comes_back_finished(tmp_path: Path) -> None:
    training = Training(PLAIN, tmp_path)
    training.go()
    state = training.restored().state
    assert state.finished and state.optimizer is None and state.stage == 1
    assert state.best is not None and training.state.best is not None
    for name, tensor in training.state.best.items():
        assert torch.equal(state.best[name], tensor)


def test_gradients_of_an_earlier_stage_have_no_part_in_clipping(tmp_path: Path) -> None:
    training = Training(ALL_THEN_FROZEN, tmp_path)
    stale: list[bool] = []

    def look(event: object) -> None:
        if isinstance(event, StepDone) and training.state.stage == 1:
            stale.append(training.network.get_parameter("conv1.weight").grad is not None)

    training.go(look)
    assert stale and not any(stale)


def test_the_state_of_the_optimiser_gets_the_strides_of_the_weights_back(tmp_path: Path) -> None:
    training = Training(FROZEN_THEN_ALL, tmp_path, channels_last=True)
    training.go(lambda event: "enough" if isinstance(event, StepDone) and training.state.stage == 1 else None)
    optimizer = training.restored().state.optimizer
    assert optimizer is not None
    for parameter, values in optimizer.state.items():
        assert values["exp_avg"].stride() == values["exp_avg_sq"].stride() == parameter.stride()
        assert values["step"].shape == ()
    strides = [parameter.stride() for parameter in optimizer.state if parameter.ndim == 4]
    assert (36, 1, 12, 4) in strides, "the layout is channels_last"


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    training = Training(ALL_THEN_FROZEN, tmp_path)
    training.go()
    checkpoint.write(tmp_path / "one", training.state, {"한글": 1})
    checkpoint.write(tmp_path / "two", training.restored().state, {"한글": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert checkpoint.read(tmp_path / "one")[1]["context"] == {"한글": 1}


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes(content)
    with pytest.raises(RunError, match="not a checkpoint that can be read"):
        checkpoint.read(tmp_path / "last.safetensors")


def test_weights_are_no_checkpoint(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={"neocog": '{"network": "lenet5"}'})
    with pytest.raises(RunError, match="not the state of a training"):
        checkpoint.read(tmp_path / "w.safetensors")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    training = Training(PLAIN, tmp_path)
    training.go()
    whole = training.path.read_bytes()
    for size in (7, 100, len(whole) // 2, len(whole) - 1):
        training.path.write_bytes(whole[:size])
        with pytest.raises(RunError, match="not a checkpoint"):
            checkpoint.read(training.path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    training = Training(PLAIN, tmp_path)
    training.go()
    other = build("flatten | linear classes", (1, 8, 8), 3)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    state = State(other, Stopping("valid_loss", "min"))
    with pytest.raises(RunError, match="does not fit the network"):
        checkpoint.restore(state, *checkpoint.read(training.path), PLAIN)
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_the_state_is_written_when_due_and_at_once_when_it_must_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    written: list[float] = []
    monkeypatch.setattr("neocog.training.checkpoint.time.monotonic", lambda: now)

    def write(path: Path, state: State, context: Any) -> None:
        nonlocal now
        written.append(now)
        now += 1.0

    monkeypatch.setattr("neocog.training.checkpoint.write", write)
    save = Checkpointer(tmp_path / "last", 5.0, {})
    state = State(torch.nn.Linear(1, 1), Stopping("valid_loss", "min"))
    save(state, False)
    assert written == []
    now = 5.0
    save(state, False)
    assert written == [5.0]
    now = 15.0
    save(state, False)
    assert written == [5.0], "a file that takes a second to write is due every twenty"
    save(state, True)
    assert written == [5.0, 15.0]
    now = 36.0
    save(state, False)
    assert written == [5.0, 15.0, 36.0]
