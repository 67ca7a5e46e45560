from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from neocog.comparison.compare import Compared, Comparison, _differences, _pairs
from neocog.comparison.images import CommonImages
from neocog.comparison.words import comparison_text, p_text
from neocog.data import ImageSet
from neocog.evaluation import Evaluation
from neocog.report.page.comparison import write_comparison

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "comparison.txt"
CLASSES = ("cat", "dog")


def comparison(*rights: int, images: int = 400, chosen: tuple[int, ...] = ()) -> Comparison:
    """Classifiers that have the first 200 images right and as many more as are given, each from another end."""
    pixels = ImageSet(torch.zeros(images, 1, 2, 2, dtype=torch.uint8), torch.arange(images) % 2, CLASSES)
    compared = []
    for number, right in enumerate(rights):
        good = np.arange(images) < 200
        rest = np.arange(200, images) if number % 2 == 0 else np.arange(images - 1, 199, -1)
        good[rest[:right]] = True
        labels = pixels.labels.numpy()
        said = np.where(good, labels, 1 - labels)
        logits = np.eye(2)[said] * (1 + number)
        compared.append(Compared(f"runs/{'abc'[number]}", Evaluation(CLASSES, labels, logits, 1.0, 1.0, 2.0), 12345))
    names = tuple(f"{number}.png" for number in range(images))
    found = CommonImages((pixels,) * len(rights), names, "pets", "test images", chosen, ())
    return Comparison(found, tuple(compared), _pairs(compared), _differences(found, compared))


def test_the_text_is_as_it_was_looked_at() -> None:
    text = comparison_text(comparison(120, 60, 61, chosen=(1,)))
    assert text + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_few_differences_are_tested_exactly_and_are_no_verdict() -> None:
    text = comparison_text(comparison(5, 3))
    assert "exact" in text and "chi-square" not in text and "Holm" not in text
    assert "the difference may well be chance" in text
    assert "They differ on 8 images:" in text


def test_equal_counts_are_no_difference() -> None:
    assert "no difference" in comparison_text(comparison(30, 30))


def test_a_source_whose_name_is_no_utf_8_gives_a_page_too(tmp_path: Path) -> None:
    found = comparison(5, 3, images=210)
    found = replace(found, images=replace(found.images, source="pets\udcff"))
    page = write_comparison(tmp_path / "comparison.html", found).read_text("utf-8")
    assert "pets?, test images: 210 images" in page


def test_a_p_value_is_never_zero() -> None:
    assert [p_text(p) for p in (1e-30, 0.00012, 0.0456, 1.0)] == ["< 0.0001", "0.00012", "0.046", "1"]
