from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from neocog.evaluation import Evaluation
from neocog.evaluation.words import calibration_text, class_table, evaluation_text

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "evaluation.txt"


@pytest.fixture(scope="module")
def pets() -> Evaluation:
    """Four classes: one that is never answered, one without images."""
    draws = np.random.default_rng(0)
    labels = draws.choice([0, 1, 3], 600, p=[0.6, 0.35, 0.05])
    logits = draws.normal(0, 0.1, (600, 4))
    logits[np.arange(600), labels] += 1.2
    confused = draws.random(600) < 0.15
    logits[confused] = logits[confused][:, [1, 0, 2, 3]]
    logits[:, 3] -= 9
    return Evaluation(("고양이", "dog", "hen", "ox"), labels, logits, 1.0, 0.25, 1.5)


def test_the_text_is_as_it_was_looked_at(pets: Evaluation) -> None:
    assert evaluation_text(pets, "pets, test images") + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_each_row_has_the_figures_of_its_class(pets: Evaluation) -> None:
    rows = class_table(pets, pets.per_class()).splitlines()[1:]
    for row, found in zip(rows, pets.per_class(), strict=True):
        name, images, right, *_ = row.split()
        assert (name, images, right) == (found.name, f"{found.images}", f"{found.right}")


def test_what_the_calibration_error_means_is_said() -> None:
    def text(confidence: float, right: int, images: int) -> str:
        labels = (np.arange(images) >= right).astype(np.int64)
        return calibration_text(
            Evaluation(("a", "b"), labels, np.log(np.full((images, 2), [confidence, 1 - confidence])))
        )

    assert "90.0 % sure and 90.0 % right, the probabilities can be taken as they are" in text(0.9, 900, 1000)
    assert text(0.9, 700, 1000).endswith("90.0 % sure and 70.0 % right, surer than right")
    assert text(0.6, 700, 1000).endswith("less sure than right")
    assert text(0.9, 7, 10).endswith("surer than right; of few images, so a rough figure")


def test_a_temperature_is_named(pets: Evaluation) -> None:
    assert "temperature" not in calibration_text(pets)
    assert "temperature 0.500:" in calibration_text(replace(pets, temperature=0.5))


def test_what_was_not_measured_is_not_said(pets: Evaluation) -> None:
    assert "speed" not in evaluation_text(replace(pets, seconds=None), "pets")
    assert "alone" not in evaluation_text(replace(pets, milliseconds=None), "pets")


def test_long_names_leave_room_for_the_figures(pets: Evaluation) -> None:
    names = tuple(f"{name}, of which there is a great deal to say {'해바라기' * 9}" for name in pets.classes)
    lines = evaluation_text(replace(pets, classes=names), "pets").splitlines()
    table = lines[lines.index("") + 1 :]
    assert all(cell_len(line) <= 130 for line in table[: len(names) + 1])
    assert "…" in table[1]
