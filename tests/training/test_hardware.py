import pytest
import torch
from torch import nn

from neocog.errors import RecipeError
from neocog.recipe import TrainSettings
from neocog.training.hardware import Hardware, find_device, hardware, resolve

CONV = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())


def test_nothing_is_left_open() -> None:
    values = resolve(TrainSettings(), CONV)
    assert values["train.precision"] in ("float32", "bfloat16")
    assert values["train.memory_format"] in ("contiguous", "channels_last")
    assert values["train.threads"] == torch.get_num_threads()
    assert values["train.device"] == str(find_device("auto"))


def test_what_is_asked_for_is_taken() -> None:
    settings = TrainSettings(device="cpu", precision="bfloat16", memory_format="channels_last", threads=3)
    values = resolve(settings, CONV)
    assert list(values.values()) == ["cpu", "bfloat16", "channels_last", 3]
    assert hardware(settings) == Hardware(torch.device("cpu"), True, True, 3)


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
