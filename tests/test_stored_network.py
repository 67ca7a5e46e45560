"""The network of a run or of a weights file, read from what stands beside the weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neocog.errors import ModelError, RunError, WeightsError
from neocog.metadata import Metadata
from neocog.stored_network import StoredNetwork, stored_network
from neocog.summary import summarize
from neocog.training.checkpoint import save_tensors

TEXT = "conv 2 3x3 | flatten | linear classes"
METADATA = Metadata(TEXT, "notation", ("no", "yes"), (6, 8), 3, "stretch", (0.0,), (1.0,))


def weights(folder: Path, metadata: Metadata) -> Path:
    path = folder / "best.safetensors"
    save_tensors(path, {"conv1.bias": torch.zeros(2)}, metadata.values())
    return path


@pytest.mark.parametrize("run", [True, False])
def test_a_run_and_its_weights_give_its_network(tmp_path: Path, run: bool) -> None:
    path = weights(tmp_path, METADATA)
    (tmp_path / "recipe.toml").write_text("")
    found = stored_network(str(tmp_path if run else path))
    assert found == StoredNetwork(TEXT, (3, 6, 8), 2)
    assert summarize(found.model, found.input_shape, found.num_classes).rows[-1].output_shape == (2,)


@pytest.mark.parametrize(
    "text",
    ["lenet5", "relu", "conv 6 5x5 | relu", "nets:build", "nets.py", "my/nets.py", "", " ", "resnet19", "x" * 9999],
)
def test_what_is_no_path_is_left_to_the_networks(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet5").mkdir()
    (tmp_path / "relu").mkdir()
    assert stored_network(text) is None


@pytest.mark.parametrize("text", ["runs/x", "x.safetensors", "/nowhere/x", "../x/y"])
def test_a_path_at_which_there_is_nothing_is_told(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="there is no run or weights file"):
        stored_network(text)


def test_the_code_of_a_user_is_named_and_never_run(tmp_path: Path) -> None:
    path = weights(tmp_path, replace(METADATA, network="nets_nobody_has:build", kind="python"))
    with pytest.raises(ModelError, match="neocog summary nets_nobody_has:build --input 3x6x8 --classes 2"):
        stored_network(str(path))


def test_weights_of_a_network_that_there_is_not_are_refused(tmp_path: Path) -> None:
    path = weights(tmp_path, replace(METADATA, network="resnet17"))
    with pytest.raises(WeightsError, match=r"best.safetensors: its network cannot be built: no network is called"):
        stored_network(str(path))
    plain = tmp_path / "plain.pth"
    torch.save({"weight": torch.zeros(2)}, plain)
    with pytest.raises(WeightsError, match="not what neocog stores beside them"):
        stored_network(str(plain))
