import subprocess
import sys

import pytest

from neocog.errors import ModelError, NotationError
from neocog.models import catalogue
from neocog.notation import parse

WRITTEN = [entry for entry in catalogue.entries() if entry.notation is not None]
COURSE = {
    "week4": 3_363_594,
    "bootcamp-cnn": 320 + 18_496 + 31_370,
    "bootcamp-cnn2": 320 + 18_496 + 73_856 + 1_280_625 + 6_260,
    "bootcamp-cnn-stride": 320 + 18_496 + 31_370,
    "lenet5": 156 + 2_416 + 48_120 + 10_164 + 850,
    "lenet5-1998": 156 + 12 + 1_516 + 32 + 48_120 + 10_164,
    "fashion-cnn": 100 + 196_100 + 1_010,
    "fashion-cnn-dropout": 100 + 196_100 + 1_010,
}


def test_the_catalogue_needs_no_torch() -> None:
    code = (
        "import sys; from neocog.models import catalogue; import neocog.summary;"
        "print(len(catalogue.names()), 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(catalogue.names())), "False", "False"]


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_stated_parameters_are_those_of_the_notation(entry: catalogue.Entry) -> None:
    assert entry.notation is not None
    layers = parse(entry.notation).shapes(entry.input_shape, entry.num_classes)
    assert sum(layer.parameters for layer in layers) == entry.parameters
    assert layers[-1].layer.word in ("linear", "rbf")
    assert f"{layers[-1].layer.word} classes" in entry.notation


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_stated_minimum_size_is_the_smallest_that_passes(entry: catalogue.Entry) -> None:
    assert entry.notation is not None
    network = parse(entry.notation)
    network.shapes((1, entry.minimum_size, entry.minimum_size), 10)
    if entry.minimum_size > 1:
        with pytest.raises(NotationError):
            network.shapes((1, entry.minimum_size - 1, entry.minimum_size - 1), 10)


@pytest.mark.parametrize("name", COURSE)
def test_the_networks_of_the_course_have_its_parameters(name: str) -> None:
    assert catalogue.find(name).parameters == COURSE[name]


def test_the_flattened_sizes_are_those_of_the_course() -> None:
    flat = {}
    for name in ("week4", "bootcamp-cnn2", "lenet5", "fashion-cnn", "bootcamp-cnn-stride"):
        layers = parse(catalogue.find(name).notation or "").shapes((1, 28, 28), 10)
        flat[name] = next(layer.output_shape[0] for layer in layers if layer.kind == "flatten")
    assert flat == {
        "week4": 3136,
        "bootcamp-cnn2": 2048,
        "lenet5": 400,
        "fashion-cnn": 1960,
        "bootcamp-cnn-stride": 3136,
    }


def test_names_are_unique_and_every_entry_is_described() -> None:
    assert len(set(catalogue.names())) == len(catalogue.names())
    for entry in catalogue.entries():
        assert entry.description and entry.source and "\n" not in entry.description


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LeNet5", "lenet5"),
        ("lenet-5", "lenet5"),
        ("resnet_18", "resnet18"),
        ("vgg16_bn", "vgg16-bn"),
        ("bootcampcnn", "bootcamp-cnn"),
    ],
)
def test_a_near_name_is_proposed(written: str, meant: str) -> None:
    with pytest.raises(ModelError, match=f"no network is called '{written}'. Did you mean .*{meant}"):
        catalogue.find(written)


def test_a_name_that_is_near_to_none_lists_them_all() -> None:
    with pytest.raises(ModelError) as caught:
        catalogue.find("xyzzy")
    assert all(name in str(caught.value) for name in catalogue.names())
