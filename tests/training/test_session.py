import copy
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import neocog
from neocog.errors import NeocogError, RecipeError, RunError, TrainingError
from neocog.recipe import Recipe
from neocog.run import Run
from neocog.training.events import EpochDone, Event, StepDone
from neocog.training.session import choose_recipe, fingerprint, prepare

QUICK: dict[str, Any] = {
    "network": "flatten | linear classes", "epochs": 2, "batch_size": 128, "threads": 1, "progress": False,
    "validation": 144,
}  # fmt: skip


def quick(out: Path, source: Any = "digits", **changes: Any) -> Run:
    return neocog.train(source, out=out, **(QUICK | changes))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return quick(tmp_path_factory.mktemp("session") / "run")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than these trainings; `run` is made before this and has them."""
    monkeypatch.setattr("neocog.report.pictures.write_pictures", lambda *_: None)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve colour images 8x8, one of them white all over."""
    folder = tmp_path_factory.mktemp("사진")
    for name, colour in (("빛", 255), ("어둠", 0)):
        (folder / name).mkdir()
        for place in range(12):
            Image.new("RGB", (8, 8), (255, colour, place)).save(folder / name / f"{place}.png")
    return folder


def test_a_run_holds_what_the_design_says(run: Run) -> None:
    names = {path.name for path in run.path.iterdir()}
    assert names >= {"recipe.toml", "best.safetensors", "last.safetensors", "history.csv", "metrics.json", "log.txt"}
    assert run.finished
    metrics = run.metrics
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert metrics["best_epoch"] == min(run.history, key=lambda row: row["valid_loss"])
    assert metrics["valid"]["accuracy"] == metrics["best_epoch"]["valid_accuracy"]
    assert metrics["valid"]["loss"] == pytest.approx(metrics["best_epoch"]["valid_loss"], rel=1e-6)
    assert metrics["parameters"] == 64 * 10 + 10
    assert metrics["train_images"] + 144 + metrics["test"]["images"] == 1797
    log = (run.path / "log.txt").read_text(encoding="utf-8")
    assert "images/s" in log and "stopped: finished" in log and "this took" in log


def test_the_users_generators_and_threads_are_left_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state(), random.getstate(), copy.deepcopy(np.random.get_state()), torch.get_num_threads()
    network = "flatten | dropout 0.5 | linear classes"
    quick(tmp_path / "r", network=network, rotate=10.0, noise=0.1, threads=before[3] + 1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2][1]) and np.random.get_state()[2] == before[2][2]
    assert torch.get_num_threads() == before[3]


def test_a_module_of_ones_own_is_trained_and_loaded_by_giving_it(tmp_path: Path) -> None:
    class Net(nn.Sequential):
        pass

    def net() -> nn.Module:
        torch.manual_seed(3)
        return Net(nn.Flatten(), nn.Linear(64, 10))

    model = net()
    made = neocog.train("digits", model=model, out=tmp_path / "r", epochs=1, threads=1, progress=False)
    assert "Net" in made.recipe.model.network
    with pytest.raises(NeocogError, match="needs code"):
        made.classifier()
    classifier = made.classifier(model=net())
    assert classifier.evaluate("digits").accuracy == made.metrics["test"]["accuracy"]
    assert torch.equal(classifier.network.state_dict()["1.weight"], model.state_dict()["1.weight"])
    (tmp_path / "r" / "metrics.json").unlink()
    with pytest.raises(RunError, match="needs code that a run never imports by itself"):
        neocog.resume(made, progress=False)
    assert neocog.resume(made, model=net(), progress=False).finished


def test_a_module_is_as_free_after_stages_as_before(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    model[1].bias.requires_grad_(False)
    recipe = Recipe.from_text(
        "[data]\nsource = 'digits'\n[train]\nepochs = 1\nthreads = 1\n"
        "[[stage]]\nname = 'a'\n[[stage]]\nname = 'b'\nfreeze = ['1']\n"
    )
    neocog.train(recipe, model=model, out=tmp_path / "r", progress=False)
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, False, True, True]


@pytest.mark.parametrize("count", [1, 13, 22])
def test_stopped_by_a_listener_and_resumed_it_ends_as_the_unbroken_run(count: int, run: Run, tmp_path: Path) -> None:
    seen = 0

    def stop(event: Event) -> str | None:
        nonlocal seen
        seen += isinstance(event, StepDone | EpochDone)
        return "enough" if seen == count else None

    stopped = quick(tmp_path / "r", listeners=[stop])
    assert not stopped.finished
    assert "stopped: enough" in (stopped.path / "log.txt").read_text(encoding="utf-8")
    neocog.resume(stopped.path, progress=False)
    for name in ("best.safetensors", "last.safetensors", "history.csv", "metrics.json", "recipe.toml"):
        assert (stopped.path / name).read_bytes() == (run.path / name).read_bytes(), name


def test_what_a_killed_process_left_half_written_is_removed_on_resume(tmp_path: Path) -> None:
    stopped = quick(tmp_path / "r", listeners=[lambda event: "enough" if isinstance(event, StepDone) else None])
    (stopped.path / ".last.safetensors.abcd1234.safetensors").write_bytes(b"half")
    neocog.resume(stopped, progress=False)
    assert not [path for path in stopped.path.iterdir() if path.name.startswith(".")]


def test_another_seed_is_another_training(run: Run, tmp_path: Path) -> None:
    other = quick(tmp_path / "r", seed=1)
    assert other.history != run.history


def test_a_training_that_diverges_keeps_the_best_weights_and_the_checkpoint(tmp_path: Path) -> None:
    def spoil(event: Event) -> None:
        if isinstance(event, EpochDone) and event.row["epoch"] == 1:
            with torch.no_grad():
                model[1].weight.fill_(math.inf)

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(TrainingError, match="epoch 2, step 1"):
        neocog.train("digits", model=model, out=tmp_path / "r", listeners=[spoil], progress=False, epochs=3, threads=1)
    left = Run(tmp_path / "r")
    assert not left.finished and len(left.history) == 1
    assert "failed: the loss is" in (left.path / "log.txt").read_text(encoding="utf-8")
    kept = left.classifier(model=nn.Sequential(nn.Flatten(), nn.Linear(64, 10))).network.state_dict()
    assert all(bool(tensor.isfinite().all()) for tensor in kept.values())


def test_resuming_on_other_images_is_refused(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("빛", "어둠"):
        (folder / name).mkdir(parents=True)
        for file in (photos / name).iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
    stop = [lambda event: "enough" if isinstance(event, StepDone) else None]
    stopped = quick(tmp_path / "r", folder, batch_size=4, validation=0.25, listeners=stop)
    for file in (folder / "빛").iterdir():
        Image.new("RGB", (8, 8), (1, 2, 3)).save(file)
    with pytest.raises(RunError, match="was trained on other images"):
        neocog.resume(stopped, progress=False)


def test_statistics_of_the_training_images(photos: Path) -> None:
    recipe = Recipe.from_text("[model]\nnetwork = 'flatten | linear classes'\n[data]\nmean = 'auto'\nstd = 'auto'\n")
    prepared = prepare(recipe.with_values({"data.source": str(photos), "data.validation": 0.25}))
    values = prepared.data.train.images.double() / 255
    assert prepared.recipe.data.mean == pytest.approx(values.mean((0, 2, 3)).tolist(), abs=1e-12)
    expected = values.std((0, 2, 3), correction=0).tolist()
    assert expected[0] == 0, "the red of all is the same"
    assert prepared.recipe.data.std == pytest.approx([1 / 255, *expected[1:]], abs=1e-12)


@pytest.mark.parametrize("value", [1, 77, 178, 254])
def test_statistics_of_one_and_the_same_value(value: int, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for place in range(7):
            Image.new("L", (5, 5), value).save(tmp_path / name / f"{place}.png")
    recipe = Recipe.from_text("[model]\nnetwork = 'flatten | linear classes'\n[data]\nmean = 'auto'\nstd = 'auto'\n")
    prepared = prepare(recipe.with_values({"data.source": str(tmp_path), "data.validation": 2}))
    assert prepared.recipe.data.mean == pytest.approx([value / 255])
    assert prepared.recipe.data.std == pytest.approx([1 / 255])


def test_every_choice_is_explicit_and_stays_as_it_is(run: Run) -> None:
    again = prepare(run.recipe)
    assert again.recipe == run.recipe
    assert fingerprint(again.data) == fingerprint(prepare(run.recipe).data)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_classes": 3}, "model.num_classes = 3, but digits has 10 classes"),
        ({"mean": [0.1, 0.2, 0.3]}, "data.mean has 3 numbers, but the images have 1 channels"),
        ({"class_weights": [1.0, 2.0]}, "2 weights for 10 classes"),
        ({"device": "cuda:55"}, "no such device"),
        ({"network": "lenet7"}, "lenet7"),
        ({"network": "flatten | linear 3"}, "linear classes"),
        ({"zoom": [0.0, 1.0]}, "leaves no image"),
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"network": ""}, "names no network"),
    ],
)
def test_mistakes_are_found_before_a_folder_is_made(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(NeocogError, match=says):
        quick(tmp_path / "r", **changes)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ("freeze = ['conv1']", "stage 'b': freeze"),
        ("freeze = ['*']", "stage 'b': every weight is frozen"),
        ("train = { class_weights = [1.0] }", "1 weights for 10 classes"),
    ],
)
def test_mistakes_in_a_later_stage_are_found_before_the_first(second: str, says: str, tmp_path: Path) -> None:
    recipe = Recipe.from_text(
        f"[data]\nsource='digits'\n[model]\nnetwork='flatten | linear classes'\n"
        f"[[stage]]\nname='a'\n[[stage]]\nname='b'\n{second}\n"
    )
    with pytest.raises(RecipeError, match=says):
        neocog.train(recipe, out=tmp_path / "r", progress=False)
    assert not (tmp_path / "r").exists()


def test_which_recipe_is_meant() -> None:
    def choose(source: Any = None, recipe: Any = None, model: Any = None, **settings: Any) -> Recipe:
        return choose_recipe(source, recipe=recipe, model=model, settings=settings)

    assert choose("mnist") == Recipe.load("mnist")
    assert choose("digits").data.source == "digits"
    assert choose("digits", recipe="mnist").model == Recipe.load("mnist").model
    assert choose(recipe="mnist", model="lenet5", epochs=7).train.epochs == 7
    assert choose("mnist", model="lenet5").model.network == "lenet5"
    assert choose(Recipe.load("mnist"), lr=0.5).train.lr == 0.5
    assert choose("mnist", **{"train.seed": 5}).train.seed == 5
    with pytest.raises(RecipeError, match="say what to train on"):
        choose()
    with pytest.raises(RecipeError, match="names no images"):
        choose(recipe="default")
    with pytest.raises(RecipeError, match="code is never imported by itself"):
        choose(Recipe.load("mnist").with_values({"model.network": "os:getcwd"}))
    assert choose("mnist", model="os:getcwd").model.network == "os:getcwd"
