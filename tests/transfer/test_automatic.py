"""When photographs are begun with published weights by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.transfer.pictures import write_pictures

from neocog.data.loading import find_source
from neocog.errors import WeightsError
from neocog.transfer import automatic
from neocog.transfer.automatic import are_photographs, automatic_recipe


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("photographs"), each=3, side=120)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("small"), each=3, side=32)


@pytest.fixture
def weights_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(automatic, "weights_path", lambda name: tmp_path)


def test_large_pictures_in_colour_are_photographs(photographs: Path, small: Path, tmp_path: Path) -> None:
    assert are_photographs(find_source(str(photographs)))
    assert not are_photographs(find_source(str(small)))
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("L", (200, 200)).save(tmp_path / label / "gray.png")
    assert not are_photographs(find_source(str(tmp_path)))
    assert not are_photographs(find_source("digits"))


def test_files_that_cannot_be_read_have_no_say(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", each=2, side=120)
    (folder / "class0" / "broken.jpg").write_bytes(b"nothing")
    assert are_photographs(find_source(str(folder)))
    for file in folder.glob("*/*.png"):
        file.write_bytes(b"")
    assert not are_photographs(find_source(str(folder)))


@pytest.mark.usefixtures("weights_here")
def test_photographs_begin_with_imagenet(photographs: Path) -> None:
    recipe = automatic_recipe(str(photographs), None, {"train.seed": 4, "data.resize": "squash"})
    assert recipe is not None and recipe.model.pretrained == "imagenet" and recipe.stage == []
    assert recipe.model.network == "efficientnet-lite0" and recipe.train.seed == 4 and recipe.data.resize == "squash"


@pytest.mark.usefixtures("weights_here")
@pytest.mark.parametrize("values", [{"train.epochs": 3}, {"augment.rotate": 5.0}, {"model.init": "glorot"}])
def test_whoever_says_how_to_train_is_obeyed(photographs: Path, values: dict[str, object]) -> None:
    assert automatic_recipe(str(photographs), None, values) is None


@pytest.mark.usefixtures("weights_here")
def test_whoever_names_a_network_gets_it_from_scratch_unless_weights_are_named_too(photographs: Path) -> None:
    assert automatic_recipe(str(photographs), "resnet18", {}) is None
    recipe = automatic_recipe(str(photographs), "resnet18", {"model.pretrained": "imagenet"})
    assert recipe is not None and recipe.model.network == "resnet18"
    assert automatic_recipe(str(photographs), "flatten | linear classes", {"model.pretrained": "old.pth"}) is None


@pytest.mark.usefixtures("weights_here")
def test_named_weights_do_for_small_pictures_too(small: Path) -> None:
    assert automatic_recipe(str(small), None, {}) is None
    assert automatic_recipe(str(small), "small-cnn", {"model.pretrained": "old.safetensors"}) is not None


def test_without_the_weights_it_is_said_and_nothing_is_chosen(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Path:
        raise WeightsError("install them so and so.")

    monkeypatch.setattr(automatic, "weights_path", missing)
    heard: list[str] = []
    assert automatic_recipe(str(photographs), None, {}, heard.append) is None
    assert len(heard) == 1 and "install them so and so." in heard[0]
