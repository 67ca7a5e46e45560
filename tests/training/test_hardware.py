from typing import Any

import pytest
import torch
from torch import nn

from neocog.errors import RecipeError
from neocog.kernels.context import current_level
from neocog.kernels.fuse import fuse
from neocog.kernels.level import VARIABLE, available, level_for
from neocog.models import build
from neocog.recipe import TrainSettings
from neocog.training.hardware import Hardware, find_device, hardware, resolve

CONV = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
BLOCK = "conv 2 3x3 | relu | maxpool 2"


def test_nothing_is_left_open() -> None:
    values = resolve(TrainSettings(), CONV)
    assert values["train.precision"] in ("float32", "bfloat16")
    assert values["train.memory_format"] in ("contiguous", "channels_last")
    assert values["train.kernels"] in ("off", "avx2", "avx512", "amx")
    assert values["train.threads"] == torch.get_num_threads()
    assert values["train.device"] == str(find_device("auto"))


def test_what_is_asked_for_is_taken() -> None:
    asked = {"device": "cpu", "precision": "bfloat16", "memory_format": "channels_last", "kernels": "off", "threads": 3}
    settings = TrainSettings.model_validate(asked)
    assert resolve(settings, CONV) == {f"train.{name}": value for name, value in asked.items()}
    assert hardware(settings) == Hardware(torch.device("cpu"), True, True, 3, "off")


def test_a_network_without_convolutions_stays_contiguous() -> None:
    assert resolve(TrainSettings(device="cpu"), nn.Linear(2, 2))["train.memory_format"] == "contiguous"


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "xla"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=f"device = '{name}'"):
        find_device(name)


def test_threads_and_algorithms_are_put_back() -> None:
    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.benchmark, cudnn.deterministic
    with pytest.raises(ZeroDivisionError), Hardware(torch.device("cpu"), False, False, before[0] + 1).repeatable():
        assert (torch.get_num_threads(), cudnn.benchmark, cudnn.deterministic) == (before[0] + 1, False, True)
        raise ZeroDivisionError
    assert (torch.get_num_threads(), cudnn.benchmark, cudnn.deterministic) == before


def test_weights_and_images_get_the_layout() -> None:
    place = Hardware(torch.device("cpu"), False, True, 1)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
    weight = model[0].weight
    place.place(model)
    assert model[0].weight is weight, "an optimiser made before still has the right parameters"
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert place.images(torch.zeros(2, 2, 5, 5)).is_contiguous(memory_format=torch.channels_last)
    assert place.images(torch.zeros(2, 5)).shape == (2, 5)
    Hardware(torch.device("cpu"), False, False, 1).place(model)
    assert weight.is_contiguous()


def test_bfloat16_is_used_in_the_forward_pass_alone() -> None:
    model, batch = nn.Linear(4, 2), torch.zeros(1, 4)
    with Hardware(torch.device("cpu"), True, False, 1).precision():
        assert model(batch).dtype == torch.bfloat16
    with Hardware(torch.device("cpu"), False, False, 1).precision():
        assert model(batch).dtype == torch.float32
    assert model.weight.dtype == torch.float32


def test_images_stay_in_memory_on_the_cpu() -> None:
    images = torch.zeros(2, 1, 3, 3, dtype=torch.uint8)
    assert Hardware(torch.device("cpu"), False, False, 1).keep(images) is images


def kernels(network: nn.Module, **settings: Any) -> str | int:
    """What a training of the network on the CPU in float32 would record as its kernels."""
    chosen = {"device": "cpu", "precision": "float32"} | settings
    return resolve(TrainSettings.model_validate(chosen), network)["train.kernels"]


def test_the_kernels_of_a_training_are_the_level_that_runs() -> None:
    assert kernels(build(BLOCK, (1, 8, 8))) == (level_for(bfloat16=False) or "off")
    assert kernels(build(BLOCK, (1, 8, 8)), precision="bfloat16") == (level_for(bfloat16=True) or "off")
    assert kernels(build(BLOCK, (1, 8, 8)), kernels="off") == "off"
    for level in available():
        precision = "bfloat16" if level == "amx" else "float32"
        assert kernels(build(BLOCK, (1, 8, 8)), kernels=level, precision=precision) == level


def test_a_network_without_anything_to_fuse_records_off() -> None:
    sequential = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    assert kernels(CONV) == "off"
    assert kernels(sequential) == "off"
    assert kernels(fuse(sequential)) == (level_for(bfloat16=False) or "off")


def test_kernels_are_switched_off_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    assert kernels(build(BLOCK, (1, 8, 8))) == "off"


def test_the_number_format_follows_the_level_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.training.hardware.available", lambda: ("amx", "avx512"))
    monkeypatch.setattr("neocog.training.hardware.level_for", lambda bfloat16: "amx" if bfloat16 else "avx512")
    for level, precision in (("amx", "bfloat16"), ("avx512", "float32")):
        values = resolve(TrainSettings(device="cpu", kernels=level), CONV)  # type: ignore[arg-type]
        assert (values["train.kernels"], values["train.precision"]) == (level, precision)


@pytest.mark.parametrize(("best", "network", "precision"), [
    (("amx", "avx512"), BLOCK, "bfloat16"),
    (("avx512",), BLOCK, "float32"),
    (("avx512",), "conv 2 1x1 | batchnorm | relu", "bfloat16"),
    ((), BLOCK, "bfloat16"),
])  # fmt: skip
def test_where_bfloat16_is_fast_blocks_in_float32_go_before_pytorchs_layers(
    best: tuple[str, ...], network: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def level(bfloat16: bool) -> str | None:
        return next((name for name in best if (name == "amx") == bfloat16), None)

    monkeypatch.setattr("neocog.training.hardware._bfloat16_is_fast", lambda device: True)
    monkeypatch.setattr("neocog.training.hardware.level_for", level)
    monkeypatch.setattr("neocog.kernels.fuse.level_for", level)
    values = resolve(TrainSettings(device="cpu"), build(network, (1, 8, 8)))
    assert values["train.precision"] == precision
    assert resolve(TrainSettings(device="cpu", kernels="off"), CONV)["train.precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("settings", "able", "message"),
    [
        ({"kernels": "amx"}, ("avx512",), r"kernels = 'amx': it computes in bfloat16\. Use precision = \"bfloat16\""),
        ({"kernels": "avx2", "precision": "bfloat16"}, ("avx2",), r"kernels = 'avx2': it computes in float32\."),
        ({"kernels": "avx512"}, ("avx2",), r"kernels = 'avx512': it cannot run here \(.+\)\. Use kernels = \"auto\""),
        ({"kernels": "avx512"}, (), r"kernels = 'avx512': it cannot run here"),
        ({"kernels": "avx512", "device": "cuda"}, ("avx512",), r"the blocks run on the CPU, not on the device cuda"),
    ],
)
def test_kernels_that_cannot_run_are_refused(
    settings: dict[str, str], able: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neocog.training.hardware.available", lambda: able)
    monkeypatch.setattr(
        "neocog.training.hardware.level_for", lambda bfloat16: None if bfloat16 or not able else able[0]
    )
    monkeypatch.setattr("neocog.training.hardware.find_device", torch.device)
    with pytest.raises(RecipeError, match=message) as error:
        kernels(CONV, **settings)
    assert "\n" not in str(error.value)


def test_a_process_that_has_another_level_forced_refuses_the_one_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.training.hardware.available", lambda: ("avx512", "avx2"))
    monkeypatch.setattr("neocog.training.hardware.level_for", lambda bfloat16: "avx2")
    monkeypatch.setenv(VARIABLE, "avx2")
    assert kernels(CONV, kernels="avx2") == "avx2"
    with pytest.raises(RecipeError, match=f"kernels = 'avx512': {VARIABLE}=avx2 asks for another"):
        kernels(CONV, kernels="avx512")


def test_the_kernels_hold_in_forward_passes_and_in_all_of_a_training() -> None:
    off = Hardware(torch.device("cpu"), False, False, torch.get_num_threads(), "off")
    before = current_level()
    for within in (off.precision, off.repeatable):
        with within():
            assert current_level() is None
        assert current_level() == before
    with off.repeatable(), Hardware(torch.device("cpu"), False, False, 1).precision():
        assert current_level() is None
    assert str(off) == f"cpu, float32, contiguous, {torch.get_num_threads()} threads"
    assert str(Hardware(torch.device("cpu"), False, True, 2, "avx512")).endswith(
        "channels_last, 2 threads, avx512 blocks"
    )
