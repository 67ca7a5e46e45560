"""Training on mixed images: it repeats, goes on after an interruption, and counts what it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from neocog.errors import NeocogError
from neocog.run import Run
from neocog.training.events import Event, StepDone
from neocog.training.session import resume, train

SETTINGS = {
    "epochs": 3,
    "batch_size": 64,
    "mixup": 0.4,
    "cutmix": 1.0,
    "shift_x": 0.1,
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "threads": 1,
}


def trained(folder: Path, *listeners: object, **changes: object) -> Run:
    values = {**SETTINGS, **changes}
    model = "conv 4 3x3 | batchnorm | relu | flatten | dropout 0.2 | linear classes"
    return train("digits", model=model, out=folder, progress=False, listeners=listeners, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("mixing") / "whole")


@pytest.mark.parametrize("steps", [7, 31])
def test_a_resumed_training_ends_with_the_same_bits(whole: Run, tmp_path: Path, steps: int) -> None:
    seen = 0

    def stop(event: Event) -> str | None:
        nonlocal seen
        seen += isinstance(event, StepDone)
        return "enough" if seen == steps else None

    stopped = trained(tmp_path / "stopped", stop)
    assert not stopped.finished
    resume(stopped, progress=False)
    for name in ("best.safetensors", "last.safetensors"):
        ours, others = load_file(whole.path / name), load_file(stopped.path / name)
        assert ours.keys() == others.keys()
        assert all(bool((ours[key] == others[key]).all()) for key in ours)
    assert stopped.history == whole.history


def test_accuracies_of_training_lie_below_those_on_whole_images_and_the_samples_are_drawn(whole: Run) -> None:
    last = whole.history[-1]
    assert 0.2 < last["train_accuracy"] < last["valid_accuracy"]
    assert (whole.path / "samples.png").is_file()


def test_the_map_criterion_says_that_it_takes_no_mixtures(tmp_path: Path) -> None:
    with pytest.raises(NeocogError, match="mixup"):
        trained(tmp_path / "map", loss="map", label_smoothing=0.0)
