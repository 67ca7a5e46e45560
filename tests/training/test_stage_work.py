"""What a stage trains: the whole network, or its last part on features that were computed once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.transfer.pictures import own_cache, write_pictures, write_weights

import neocog
from neocog.errors import RecipeError
from neocog.models import build
from neocog.models.weights import read_weights
from neocog.recipe import Recipe
from neocog.run import Run
from neocog.training.events import Event, StepDone
from neocog.training.preparing import prepare
from neocog.training.stage_work import check_solvable, stage_work
from neocog.training.state import check_stages, freeze
from neocog.transfer.head import fit_head
from neocog.transfer.stages import all_layer_stages, extraction_stages, last_block_stages

__all__ = ["own_cache"]

NETWORK = (
    "conv 8 3x3 same nobias | batchnorm | relu | maxpool 2 | conv 12 3x3 same | relu | maxpool 2 | conv 16 3x3 same "
    "| batchnorm | relu | globalavgpool | dropout 0.2 | linear classes"
)


def recipe_for(folder: Path, stages: list[Any], **values: Any) -> Recipe:
    chosen = {"data.source": str(folder), "model.network": NETWORK, "train.batch_size": 8, "train.threads": 1, **values}
    return Recipe().with_values(chosen).model_copy(update={"stage": stages})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


def stages_of(make: Any, **options: Any) -> list[Any]:
    return make(build(NETWORK, (3, 24, 24), 2, seed=0), **options)  # type: ignore[no-any-return]


def trained(recipe: Recipe, out: Path) -> Run:
    return neocog.train(recipe, out=out, progress=False)


def test_training_on_features_gives_what_training_the_whole_network_gives(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = stages_of(last_block_stages, epochs=3, lr=0.05)[1:]
    # Adam would make a large step of a gradient that is nearly nothing, such as a rounding error.
    recipe = recipe_for(pictures, stages, **{"train.keep": "last", "train.optimizer": "sgd"})
    quick = trained(recipe, tmp_path / "features")
    monkeypatch.setattr("neocog.training.stage_work.can_be_cut", lambda network: False)
    whole = trained(recipe, tmp_path / "whole")
    for one, other in zip(quick.history, whole.history, strict=True):
        assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-3)
        # dropout draws the same numbers in both
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)
    tensors, others = (read_weights(run.path / "best.safetensors")[0] for run in (quick, whole))
    assert tensors.keys() == others.keys()
    assert all(torch.allclose(tensors[name], others[name], atol=1e-4) for name in tensors)


def test_only_what_the_stage_trains_runs_at_its_steps(pictures: Path) -> None:
    prepared = prepare(recipe_for(pictures, stages_of(last_block_stages)))
    _, last = prepared.recipe.stages()
    freeze(prepared.network, last.freeze)
    work = stage_work(prepared, last)
    assert next(iter(work.batches.epoch(0, 0, 0)))[0].shape[1:] == (12, 6, 6)
    assert {name.partition(".")[0] for name in work.model.names} == {  # type: ignore[union-attr, operator]
        "conv3", "batchnorm2", "relu3", "globalavgpool1", "dropout1", "linear1",
    }  # fmt: skip


def test_a_stage_that_augments_sees_whole_images(pictures: Path) -> None:
    stages = stages_of(last_block_stages)
    stages[1] = stages[1].model_copy(update={"augment": True})
    prepared = prepare(recipe_for(pictures, stages, **{"augment.horizontal_flip": 0.5}))
    last = prepared.recipe.stages()[1]
    freeze(prepared.network, last.freeze)
    assert next(iter(stage_work(prepared, last).batches.epoch(0, 0, 0)))[0].shape[1:] == (3, 24, 24)


def test_features_that_would_fill_the_memory_are_not_computed(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.training.stage_work.available_memory", lambda: 1000)
    prepared = prepare(recipe_for(pictures, stages_of(last_block_stages)))
    last = prepared.recipe.stages()[1]
    freeze(prepared.network, last.freeze)
    assert stage_work(prepared, last).model is prepared.model


def test_logistic_regression_sets_the_head_and_nothing_else(pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(pictures, stages_of(extraction_stages), **{"train.l2_penalty": 3.0})
    before = prepare(recipe)
    first = {name: tensor.clone() for name, tensor in before.network.state_dict().items()}
    run = trained(recipe, tmp_path / "run")
    tensors, _ = read_weights(run.path / "best.safetensors")
    assert all(torch.equal(first[name], tensors[name]) for name in first if not name.startswith("linear1"))
    network = build(NETWORK, (3, 24, 24), 2)
    network.load_state_dict(tensors)
    network.eval()
    with torch.no_grad():
        images, labels = before.data.train.images, before.data.train.labels
        pooled = torch.nn.Sequential(*list(network.children())[:-2])(images / 255)
        logits = network(images / 255)
    head = fit_head(pooled.numpy(), labels.numpy(), 2, l2_penalty=3.0)
    assert np.allclose(tensors["linear1.weight"].numpy(), head.weight, rtol=1e-3, atol=1e-4)
    (row,) = run.history
    assert row["train_loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-3)
    assert (row["stage"], row["epoch"], row["learning_rate"]) == ("head", 1, 0.0)
    assert run.metrics["validation_chooses"] is False


def test_logistic_regression_over_more_than_the_head_says_what_to_freeze(pictures: Path) -> None:
    (stage,) = stages_of(extraction_stages)
    network = build(NETWORK, (3, 24, 24), 2)
    loose = stage.model_copy(update={"freeze": stage.freeze[:-1]})
    with pytest.raises(RecipeError, match=r"solves the last linear layer alone, but batchnorm2 is not frozen") as found:
        check_solvable(network, recipe_for(pictures, [loose]).stages())
    assert 'freeze = ["conv1", "batchnorm1"' in str(found.value)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_logistic_regression_with_class_weights_is_refused_before_anything_is_done(pictures: Path) -> None:
    recipe = recipe_for(pictures, stages_of(extraction_stages), **{"train.class_weights": "balanced"})
    with pytest.raises(RecipeError, match="takes no class_weights"):
        prepare(recipe)


def test_a_head_on_few_images_is_cross_validated_beside_the_validation_images(pictures: Path, tmp_path: Path) -> None:
    run = trained(recipe_for(pictures, stages_of(extraction_stages)), tmp_path / "run")
    found = run.metrics["cross_validation"]
    assert found["images"] == run.metrics["train_images"] and found["procedure"] == "extraction"
    assert found["interval95"][0] <= found["accuracy"] <= found["interval95"][1]


def test_batch_norm_that_is_frozen_keeps_its_statistics_but_learns_its_weights(pictures: Path, tmp_path: Path) -> None:
    for frozen in (True, False):
        recipe = recipe_for(
            pictures, [], **{"train.freeze_batch_norm": frozen, "train.epochs": 1, "train.keep": "last"}
        )
        first = prepare(recipe).network.state_dict()
        tensors, _ = read_weights(trained(recipe, tmp_path / str(frozen)).path / "best.safetensors")
        assert torch.equal(first["batchnorm1.running_mean"], tensors["batchnorm1.running_mean"]) is frozen
        assert not torch.equal(first["batchnorm1.weight"], tensors["batchnorm1.weight"])


def test_an_interrupted_transfer_ends_with_the_bits_of_one_that_was_not(pictures: Path, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "old.safetensors")
    values = {"model.network": "small-cnn", "model.pretrained": str(weights), "augment.horizontal_flip": 0.5}
    stages = all_layer_stages(build("small-cnn", (3, 24, 24), 2, seed=0), epochs=2)
    recipe = recipe_for(pictures, stages, **values, **{"train.freeze_batch_norm": True, "train.keep": "last"})
    whole = trained(recipe, tmp_path / "whole")
    places = [("last blocks", 2), ("all", 1)]
    for number, (stage, epoch) in enumerate(places):
        heard = {"stage": ""}

        def stop(event: Event, heard: dict[str, str] = heard, stage: str = stage, epoch: int = epoch) -> str | None:
            heard["stage"] = getattr(event, "name", heard["stage"])
            at = isinstance(event, StepDone) and event.epoch == epoch - 1 and event.step == 2
            return "enough" if at and heard["stage"] == stage else None

        run = neocog.train(recipe, out=tmp_path / f"broken{number}", progress=False, listeners=[stop])
        assert not run.finished
        if number:
            # the checkpoint has all that was begun with
            weights.rename(tmp_path / "gone.safetensors")
        neocog.resume(run, progress=False)
        for name in ("best.safetensors", "last.safetensors", "history.csv"):
            assert (run.path / name).read_bytes() == (whole.path / name).read_bytes(), (stage, name)


def test_a_run_begins_with_another_runs_weights_and_takes_its_images(pictures: Path, tmp_path: Path) -> None:
    first = trained(
        recipe_for(pictures, [], **{"train.epochs": 1, "data.mean": [0.4], "data.std": [0.3]}), tmp_path / "a"
    )
    prepared = prepare(recipe_for(pictures, [], **{"model.pretrained": str(first.path)}))
    assert prepared.recipe.data.mean == [0.4] and prepared.recipe.data.image_size == (24, 24)
    tensors, _ = read_weights(first.path / "best.safetensors")
    state = prepared.network.state_dict()
    assert all(torch.equal(tensors[name], state[name]) for name in state if not name.startswith("linear1"))
    assert not torch.equal(tensors["linear1.weight"], state["linear1.weight"])
    assert prepared.recipe.model.pretrained == str(first.path.resolve())


def test_logistic_regression_is_what_counts_where_a_training_averages_its_weights(
    pictures: Path, tmp_path: Path
) -> None:
    stages = stages_of(extraction_stages)
    plain = trained(recipe_for(pictures, stages), tmp_path / "plain")
    averaged = trained(recipe_for(pictures, stages, **{"train.ema": 0.9}), tmp_path / "averaged")
    assert plain.history == averaged.history
    tensors, others = (read_weights(run.path / "best.safetensors")[0] for run in (plain, averaged))
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)


def test_a_training_goes_on_on_features_however_much_memory_is_free_by_then(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(pictures, stages_of(last_block_stages, epochs=2)[1:], **{"train.keep": "last"})
    whole = trained(recipe, tmp_path / "whole")

    def stop(event: Event) -> str | None:
        return "enough" if isinstance(event, StepDone) and event.step == 2 else None

    run = neocog.train(recipe, out=tmp_path / "broken", progress=False, listeners=[stop])
    monkeypatch.setattr("neocog.training.stage_work.available_memory", lambda: 1000)
    monkeypatch.delattr("neocog.training.stage_work._whole")
    neocog.resume(run, progress=False)
    for name in ("best.safetensors", "last.safetensors", "history.csv"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes(), name


def test_a_penalty_is_chosen_with_what_belongs_together_kept_together(pictures: Path, tmp_path: Path) -> None:
    for label in ("class0", "class1"):
        for number in range(7):
            (pictures / label / f"{number}.png").rename(pictures / label / f"{number}_a.png")
            # a copy with another pixel in its corner
            picture = Image.open(pictures / label / f"{number}_a.png")
            picture.putpixel((0, 0), (0, 0, 0))
            picture.save(pictures / label / f"{number}_b.png")
    recipe = recipe_for(pictures, stages_of(extraction_stages), **{"data.groups": r"^(\d+)"})
    prepared = prepare(recipe)
    train = prepared.data.train
    assert train.groups is not None and len(set(train.groups)) < len(train)
    run = trained(recipe, tmp_path / "run")
    tensors, _ = read_weights(run.path / "best.safetensors")
    (stage,) = prepared.recipe.stages()
    rows = stage_work(prepared, stage).batches.images.numpy()  # type: ignore[attr-defined]
    grouped, loose = (
        fit_head(rows.reshape(len(rows), -1), train.labels.numpy(), 2, groups=groups) for groups in (train.groups, None)
    )
    assert grouped.l2_penalty != loose.l2_penalty
    assert np.allclose(tensors["linear1.weight"].numpy(), grouped.weight)


def test_layers_whose_order_is_not_known_are_refused_before_the_training() -> None:
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

    stages = Recipe().with_values({"train.layer_lr_decay": 0.5}).stages()
    with pytest.raises(RecipeError, match=r"layer_lr_decay goes by the order of the layers.*Own"):
        check_stages(Own(), stages)


def test_gray_images_begin_with_a_run_on_coloured_ones(pictures: Path, tmp_path: Path) -> None:
    values = {"train.epochs": 1, "data.mean": [0.4, 0.5, 0.6], "data.std": [0.3, 0.3, 0.3]}
    first = trained(recipe_for(pictures, [], **values), tmp_path / "colour")
    prepared = prepare(recipe_for(pictures, [], **{"model.pretrained": str(first.path), "data.channels": 1}))
    assert prepared.recipe.data.channels == 1 and prepared.recipe.data.mean == pytest.approx([0.5])


def test_ctrl_c_while_features_are_computed_leaves_a_run_that_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(pictures, stages_of(extraction_stages))
    whole = trained(recipe, tmp_path / "whole")
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "another cache"))
    seen: list[int] = []

    def count(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        if len(images) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return images

    with monkeypatch.context() as patched:
        patched.setattr("neocog.training.hardware.Hardware.images", lambda self, images: count(images))
        patched.setattr("neocog.features.batch_size_for", lambda shape: 8)
        run = neocog.train(recipe, out=tmp_path / "broken", progress=False)
    assert seen.count(8) == 1 and not run.finished
    neocog.resume(run, progress=False)
    for name in ("best.safetensors", "history.csv"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes(), name
