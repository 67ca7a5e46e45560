"""report.html: its figures are those of the evaluation, its charts stand where the numbers are."""

from __future__ import annotations

import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.explain.worlds import Borrowed
from torch import nn

import neocog as nc
from neocog.classifier import Classifier
from neocog.data import Geometry, ImageSet, Skipped, load_images
from neocog.errors import NeocogError
from neocog.evaluation import Evaluation
from neocog.metadata import Metadata
from neocog.report.page import Subject, write_report
from neocog.report.page.charts import Axis, Line, line_chart, percent, plain, reliability_chart
from neocog.report.page.contents import gather
from neocog.report.page.inside import look_inside, side_by_side
from neocog.report.page.pictures import image_uri, shaded, where


class Texts(HTMLParser):
    """The texts of the cells of each table, by row, and the values of the cards."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.values: dict[str, str] = {}
        self._tag, self._text, self._label = "", "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._text = "" if tag in ("td", "th", "dt", "dd") else self._text
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        text = self._text.strip().replace("\N{NO-BREAK SPACE}", " ")
        if tag in ("td", "th"):
            self.rows[-1].append(text)
        elif tag == "dt":
            self._label = text
        elif tag == "dd":
            self.values.setdefault(self._label, text)


@pytest.fixture(scope="module")
def judged(digits_run: Path) -> tuple[Classifier, ImageSet, Evaluation, Texts]:
    """A classifier, what it was judged by, and the page of its run, read back."""
    classifier = nc.load(digits_run)
    images, _ = classifier.images_to_evaluate()
    return classifier, images, classifier.evaluate(images), Texts((digits_run / "report.html").read_text("utf-8"))


def test_the_figures_are_those_of_the_evaluation(judged: tuple[Classifier, ImageSet, Evaluation, Texts]) -> None:
    _, _, evaluation, texts = judged
    assert texts.values["accuracy"] == f"{100 * evaluation.accuracy:.2f} %"
    assert texts.values["loss"] == f"{evaluation.loss:.4f}"
    assert texts.values["calibration error"] == f"{100 * evaluation.calibration().ece:.2f} %"


def test_the_matrix_is_the_confusion_matrix(judged: tuple[Classifier, ImageSet, Evaluation, Texts]) -> None:
    _, _, evaluation, texts = judged
    start = next(place for place, row in enumerate(texts.rows) if row[:1] == ["true"])
    assert texts.rows[start][1:] == list(evaluation.classes)
    rows = texts.rows[start + 1 : start + 1 + len(evaluation.classes)]
    counts = [[int(cell or 0) for cell in row[1:]] for row in rows]
    assert counts == evaluation.confusion.tolist()


def test_the_network_is_there_layer_by_layer(judged: tuple[Classifier, ImageSet, Evaluation, Texts]) -> None:
    classifier, _, _, texts = judged
    written = nc.summarize(classifier.network, classifier.geometry.shape)
    shown = {row[0]: row for row in texts.rows if row}
    for row in written.rows:
        assert shown[row.name][1] == row.notation
        assert shown[row.name][3] == f"{row.parameters:,}"
    assert shown["total"][3] == f"{written.parameters:,}"


def test_what_was_trained_on_what_is_told(photographs_run: Path) -> None:
    page = (photographs_run / "report.html").read_text("utf-8")
    metrics = nc.Run(photographs_run).metrics
    texts = Texts(page)
    assert texts.values["trained on"] == f"{metrics['train_images']} images"
    assert texts.values["validated on"] == f"{metrics['valid']['images']} images: set aside from the training images"
    assert "horizontal_flip 0.5" in texts.values["augmentation"]
    assert texts.values["as the network sees them"].startswith("96x96 pixels, colour")
    assert "used to choose the weights" in page
    assert re.search(r"neocog \S+, torch \S+, Python \S+", texts.values["versions"])


def test_files_that_were_left_out_are_named(photographs_run: Path) -> None:
    texts = Texts((photographs_run / "report.html").read_text("utf-8"))
    [skipped] = [row for row in texts.rows if row and row[0].endswith("broken & <i>.jpg")]
    assert "not" in skipped[1] or "cut" in skipped[1] or "truncated" in skipped[1]


def test_evaluating_a_runs_own_data_names_the_files_that_were_left_out(photographs_run: Path) -> None:
    found = list[Skipped]()
    nc.load(photographs_run).images_to_evaluate(on_skip=found.append)
    assert [(item.path, item.reason) for item in found] == nc.Run(photographs_run).skipped
    assert any(item.path.endswith("broken & <i>.jpg") for item in found)


@pytest.mark.parametrize("fixture", ["photographs_run", "digits_run"])
def test_a_report_is_small_and_holds_everything(fixture: str, request: pytest.FixtureRequest) -> None:
    file = request.getfixturevalue(fixture) / "report.html"
    page = file.read_text("utf-8")
    assert file.stat().st_size < 5_000_000
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page


def made_classifier(network: nn.Module, classes: tuple[str, ...], channels: int = 1, size: int = 8) -> Classifier:
    metadata = Metadata("flatten | linear classes", "notation", classes, (size, size), channels, "crop", (0.0,), (1.0,))
    return Classifier(network, metadata)


def made_subject(classifier: Classifier, count: int, **more: Any) -> Subject:
    generator = torch.Generator().manual_seed(0)
    geometry = classifier.geometry
    images = torch.randint(0, 256, (count, *geometry.shape), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, len(classifier.classes), (count,), generator=generator)
    image_set = ImageSet(images, labels, classifier.classes)
    return Subject(classifier, image_set, classifier.evaluate(image_set), "pictures", "", **more)


def test_weights_alone_with_many_classes_give_a_page_too(tmp_path: Path) -> None:
    classes = tuple(f"class {number}" for number in range(300))
    classifier = made_classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 300)), classes)
    skipped = [Skipped(f"{number}.jpg", "no image") for number in range(250)]
    page = write_report(tmp_path / "report.html", made_subject(classifier, 400, skipped=skipped)).read_text("utf-8")
    texts = Texts(page)
    assert 'alt="Confusion matrix of 300 classes' in page
    assert "The 200 classes with the lowest F1 of 300." in " ".join(page.split())
    assert sum(row[1:] == ["no image"] for row in texts.rows) == 200
    assert "And 50 more" in page
    assert "There is no history" in page
    assert "integrated gradients" in page


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten()), "by integrated gradients"),
        (Borrowed(), "by occlusion (Zeiler, Fergus, 2014)"),
    ],
)
def test_where_a_network_looked_is_shown_by_what_it_allows(network: nn.Module, told: str) -> None:
    contents = gather(made_subject(made_classifier(network, ("a", "b", "c")), 20))
    assert told in contents.worst_told
    assert all(answer.shaded for answer in contents.worst)


def test_a_classifier_without_a_mistake_shows_what_it_was_least_sure_of(tmp_path: Path) -> None:
    class Knows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bright = x.mean((1, 2, 3))
            return torch.stack((bright, 1 - bright), 1) * 9

    classifier = made_classifier(Knows(), ("bright", "dark"))
    values = torch.tensor([250, 10, 140, 30], dtype=torch.uint8)
    images = ImageSet(
        values.view(4, 1, 1, 1).expand(4, 1, 8, 8).contiguous(), torch.tensor([0, 1, 0, 1]), ("bright", "dark")
    )
    subject = Subject(classifier, images, classifier.evaluate(images), "made", "")
    contents = gather(subject)
    assert contents.worst_told.startswith("There is no mistake among the 4 images.")
    assert contents.worst[0].source == "image 2"
    assert contents.confusions == ()
    assert "No class was taken for another." in write_report(tmp_path / "r.html", subject).read_text("utf-8")


def test_the_network_is_opened_and_its_arithmetic_is_checked(digits_run: Path) -> None:
    classifier = nc.load(digits_run)
    image = load_images("digits", Geometry((8, 8), 1), classifier.classes).images[0]
    found = look_inside(classifier, image)
    shapes = {row.name: row.output_shape for row in nc.summarize(classifier.network, (1, 8, 8)).rows}
    assert [layer.name for layer in found.maps] == ["conv1", "relu1", "pool1", "relu2"]
    assert all(layer.shape == "x".join(map(str, shapes[layer.name] or ())) for layer in found.maps)
    assert re.search(r"the network says \S+: equal", found.arithmetic)
    assert "NOT equal" not in found.arithmetic and found.told == ""


def test_maps_stand_side_by_side_in_the_colours_that_are_told() -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    maps[0, 0, 0], maps[1, 3, 3] = 1, 0.5
    picture = side_by_side(maps)
    size = (picture.shape[2] - 4) // 2
    assert picture.shape == (3, size, 2 * size + 4) and size % 4 == 0
    assert (picture[:, 0, 0] == 255).all()
    assert (picture[:, 1, size - 1] == 0).all()
    assert abs(int(picture[0, -1, -1]) - 128) <= 1
    maps[0, 1, 1] = -1
    orange, blue, zero = (side_by_side(maps)[:, place, place].astype(int) for place in (0, size // 4, size // 2))
    assert orange[0] > orange[2] and blue[2] > blue[0] and zero.min() >= 253


def test_a_network_that_cannot_be_opened_says_why() -> None:
    class Refuses(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("not today")

    found = look_inside(made_classifier(Refuses(), ("a", "b")), torch.zeros(1, 8, 8, dtype=torch.uint8))
    assert found.maps == () and found.arithmetic == ""
    assert "not today" in found.told


def test_a_failed_write_leaves_the_old_page(tmp_path: Path) -> None:
    classifier = made_classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), ("a", "b", "c"))
    subject = made_subject(classifier, 5)
    with pytest.raises(NeocogError, match="cannot write"):
        write_report(tmp_path / "missing" / "report.html", subject)


def test_the_report_leaves_the_classifier_as_it_was(digits_run: Path, tmp_path: Path) -> None:
    classifier = nc.load(digits_run)
    images = load_images("digits", Geometry((8, 8), 1), classifier.classes)
    before = classifier.probabilities(images.images[:50])
    write_report(tmp_path / "r.html", Subject(classifier, images, classifier.evaluate(images), "digits", ""))
    assert torch.equal(classifier.probabilities(images.images[:50]), before)
    assert all(parameter.grad is None for parameter in classifier.network.parameters())


finite = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=40), st.tuples(finite, st.floats(0.01, 1e3)))
def test_points_stand_in_proportion_between_the_ends_of_the_axes(
    values: list[float], ends: tuple[float, float]
) -> None:
    low, high = ends[0], ends[0] + ends[1]
    x, y = Axis("epoch", 1.0, max(len(values), 2), plain), Axis("loss", low, high, plain)
    chart = line_chart([Line(list(enumerate(values, 1)), "train")], x, y, told="told")
    numbers = re.search(r'class="line train" d="([^"]*)"', chart)
    assert numbers is not None
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", numbers[1])[1:]]
    assert len(points) == len(values)
    foot, top = 218.0, 12.0
    for (_, up), value in zip(points, values, strict=True):
        share = (value - low) / (high - low)
        assert math.isclose(foot - share * (foot - top), up, abs_tol=0.051 + 1e-6 * abs(up))


def test_a_value_that_is_not_finite_leaves_a_gap() -> None:
    points = [(1.0, 1.0), (2.0, math.nan), (3.0, 2.0), (4.0, 2.5)]
    chart = line_chart([Line(points, "valid")], Axis("x", 1, 4, plain), Axis("y", 0, 3, plain), told="t")
    [path] = re.findall(r'class="line valid" d="([^"]*)"', chart)
    assert re.sub(r"[\d. ]+", "", path) == "MML"


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_ticks_lie_within_the_axis_and_are_evenly_spaced(low: float, size: float) -> None:
    ticks = Axis("x", low, low + size, plain).ticks()
    slack = size * 1e-6
    assert 2 <= len(ticks) <= 8
    assert all(low - slack <= tick <= low + size + slack for tick in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0])


def test_what_is_told_of_a_chart_is_escaped() -> None:
    chart = reliability_chart([(0.9, 0.8, 10)], told='"><script>')
    assert "<script>" not in chart
    assert "10 images of 90 %: 80 % right" in chart
    assert "1 image of " in reliability_chart([(0.5, 1.0, 1)], told="told")
    assert percent(0.125) == "12.5 %"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 12), (3, 200, 100)])
def test_an_image_survives_the_way_into_the_page(shape: tuple[int, ...]) -> None:
    ramp = np.linspace(0, 255, shape[1] * shape[2]).reshape(1, *shape[1:])
    pixels = np.repeat(ramp, shape[0], axis=0).astype(np.uint8)
    uri = image_uri(pixels)
    kind, data = uri.removeprefix("data:image/").split(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (shape[2], shape[1])
        back = np.asarray(image.convert("RGB" if shape[0] == 3 else "L"), dtype=int)
    expected = pixels.transpose(1, 2, 0) if shape[0] == 3 else pixels[0]
    assert np.abs(back - expected).max() <= (0 if kind == "png" else 6)


def test_the_shade_lies_where_the_attribution_is() -> None:
    pixels, attribution = np.full((1, 28, 28), 128, np.uint8), np.zeros((28, 28), np.float32)
    attribution[4:8, 20:24] = 1
    picture = shaded(pixels, attribution).astype(int)
    colour = picture.max(axis=0) - picture.min(axis=0)
    rows, columns = np.nonzero(colour > colour.max() / 2)
    size = picture.shape[1] / 28
    assert rows.min() / size >= 3 and rows.max() / size <= 9
    assert columns.min() / size >= 19 and columns.max() / size <= 25
    assert where(attribution) == "mostly at the top right"
    assert where(np.zeros((5, 5), np.float32)) == "nowhere in particular"
    assert where(np.ones((5, 5), np.float32)) == "around the middle"
