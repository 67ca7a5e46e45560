"""Small networks, trained on real data: their comparison must follow from each one's own answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import neocog as nc
from neocog.comparison import compare, mcnemar
from neocog.comparison.words import comparison_text
from neocog.errors import DataError, ModelError
from neocog.report import pictures


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """One thread and no pictures: networks this small take longer otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "write_pictures", lambda *given: [])
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


def trained(source: str | Path, out: Path, **settings: object) -> Path:
    values: dict[str, object] = {"model": "flatten | linear classes", "epochs": 2} | settings
    return nc.train(str(source), out=out, progress=False, **values).path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs on the same digits, of other sizes of image and other splits."""
    root = tmp_path_factory.mktemp("digits")
    return [
        trained("digits", root / "good", epochs=8),
        trained("digits", root / "large", image_size=12, split_seed=7),
        trained("digits", root / "poor", batch_size=512),
    ]


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without parts of its own: two shades, hard to tell apart."""
    root = tmp_path_factory.mktemp("shades") / "grays"
    draws = np.random.default_rng(0)
    for name, shade in (("dark", 100), ("light", 140)):
        (root / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.clip(draws.normal(shade, 60, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def grays(shades: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("grays")
    return [trained(shades, root / f"{seed}", split_seed=seed, validation=0.4, seed=seed) for seed in (0, 1)]


def test_every_figure_is_that_of_the_classifier_alone(digits: list[Path]) -> None:
    found = compare(digits)
    assert [item.name for item in found.compared] == [str(run) for run in digits]
    for item, run in zip(found.compared, digits, strict=True):
        alone = nc.load(run).evaluate()
        assert np.array_equal(item.evaluation.logits, alone.logits)
        assert item.parameters == sum(weight.numel() for weight in nc.load(run).network.parameters())
    right = [item.evaluation.predicted == item.evaluation.labels for item in found.compared]
    expected = [mcnemar(one, other) for one, other in combinations(right, 2)]
    assert [pair.test for pair in found.pairs] == expected
    assert [(pair.first, pair.second) for pair in found.pairs] == list(combinations(map(str, digits), 2))
    assert all(pair.adjusted >= pair.test.p for pair in found.pairs)


def test_the_differences_are_where_the_answers_differ(digits: list[Path]) -> None:
    found = compare(digits, names=("A", "B", "C"))
    answers = np.array([item.evaluation.predicted for item in found.compared])
    assert sorted(item.place for item in found.differences) == np.flatnonzero(np.ptp(answers, axis=0)).tolist()
    classes = found.compared[0].evaluation.classes
    apart = []
    for item in found.differences:
        assert item.name == str(item.place)
        assert item.label == classes[found.images.sets[0].labels[item.place]]
        assert [said for said, _ in item.answers] == [classes[said] for said in answers[:, item.place]]
        true = [one.evaluation.probabilities[item.place, one.evaluation.labels[item.place]] for one in found.compared]
        apart.append(max(true) - min(true))
    assert apart == sorted(apart, reverse=True) and apart


def test_only_images_that_none_was_trained_on_are_compared(grays: list[Path], shades: Path) -> None:
    held_out = [set(nc.load(run).images_to_evaluate()[0].sources or ()) for run in grays]
    found = compare(grays)
    assert set(found.images.names) == held_out[0] & held_out[1] != held_out[0]
    assert len(found.images.names) == len(set(found.images.names))
    assert "the part that none of them was trained on" in found.images.notes[0]
    assert found.images.chosen == (0, 1) and found.images.part == "validation images"
    for images in found.images.sets:
        assert images.sources == found.images.names
    # the same by the name of the folder, and no matter which comes first
    turned = compare(grays[::-1], shades)
    assert set(turned.images.names) == set(found.images.names)


def test_a_source_that_one_was_trained_on_keeps_its_training_images_out(
    grays: list[Path], shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    for name in ("dark", "light"):
        (other / name).mkdir(parents=True)
        for number, file in enumerate(sorted((shades / name).iterdir())):
            Image.open(file).save(other / name / f"{number}.png")
    stranger = trained(other, tmp_path / "run")
    found = compare([stranger, grays[0]], shades)
    assert set(found.images.names) == set(nc.load(grays[0]).images_to_evaluate()[0].sources or ())
    assert found.images.chosen == (1,)
    monkeypatch.chdir(shades.parent)
    assert len(compare([stranger, grays[0]], "grays").images.names) == len(found.images.names)
    with pytest.raises(DataError, match=r"trained on different data .*--on DATA"):
        compare([stranger, grays[0]])


def test_labels_in_another_order_are_the_same_labels(grays: list[Path]) -> None:
    one = nc.load(grays[0])
    turned = nc.load(grays[0])
    turned.network.load_state_dict({name: weight.flip(0) for name, weight in one.network.state_dict().items()})
    turned.classes = one.classes[::-1]
    turned.metadata = type(one.metadata)(**(vars(one.metadata) | {"classes": turned.classes, "recipe": ""}))
    source = nc.Recipe.from_text(one.metadata.recipe).data.source
    found = compare([one, turned], source)
    assert found.compared[1].evaluation.classes == ("light", "dark")
    assert not found.differences
    assert (found.pairs[0].test.first_only, found.pairs[0].test.second_only, found.pairs[0].test.p) == (0, 0, 1.0)
    assert "They give the same answer to every image." in comparison_text(found)


def test_other_labels_are_refused(grays: list[Path], digits: list[Path]) -> None:
    with pytest.raises(DataError, match=r"have different labels.*alone has 0, 1, 2, 3, 4 and 5 more.*dark, light"):
        compare([digits[0], grays[0]])


def test_a_single_one_and_one_given_twice_are_refused(digits: list[Path]) -> None:
    with pytest.raises(DataError, match="two or more classifiers"):
        compare(digits[:1])
    with pytest.raises(DataError, match="is given twice"):
        compare([digits[0], digits[0]])


def test_a_network_that_gives_no_numbers_is_named(digits: list[Path]) -> None:
    broken = nc.load(digits[2])
    with torch.no_grad():
        next(broken.network.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="poor: the network gives numbers that are not finite"):
        compare([digits[0], broken], names=["good", "poor"])


def test_no_image_left_is_refused(shades: Path, tmp_path: Path) -> None:
    # one validation image of each class: two splits have none in common
    runs = [trained(shades, tmp_path / f"{seed}", split_seed=seed, validation=2) for seed in (0, 1)]
    with pytest.raises(DataError, match=r"no image of .* is left that none of them was trained on.*--on DATA"):
        compare(runs)
