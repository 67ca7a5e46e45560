import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import neocog
from neocog.classifier import Classifier, Prediction, Unreadable
from neocog.data import ImageSet, load_images
from neocog.errors import DataError, NeocogError, RecipeError, RunError, WeightsError
from neocog.metadata import Metadata
from neocog.models import build
from neocog.run import Run
from neocog.training.checkpoint import save_tensors

NETWORK = "flatten | linear classes"


@pytest.fixture(scope="module")
def classifier(unbroken: Path) -> Classifier:
    return neocog.load(unbroken)


@pytest.fixture(scope="module")
def pictures(classifier: Classifier) -> ImageSet:
    return load_images("digits", classifier.geometry, classifier.classes)


@pytest.fixture(scope="module")
def files(pictures: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("그림")
    for place in range(12):
        Image.fromarray(pictures.images[place, 0].numpy()).save(folder / f"{place}.png")
    return [folder / f"{place}.png" for place in range(12)]


def weights(path: Path, own: nn.Module | None = None, **changes: Any) -> Path:
    """Weights of an untrained network, with metadata of one's choice."""
    module = own or build(NETWORK, (3, 6, 9), 2, seed=0)
    values: dict[str, Any] = {
        "network": NETWORK, "kind": "notation", "classes": ("개", "cat"), "image_size": (6, 9), "channels": 3,
        "resize": "squash", "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4),
    }  # fmt: skip
    metadata = Metadata(**(values | changes))
    save_tensors(path, module.state_dict(), metadata.values())
    return path


def test_an_image_in_any_form_gets_the_same_answer(
    classifier: Classifier, pictures: ImageSet, files: list[Path]
) -> None:
    pixels = pictures.images[3]
    expected = classifier.predict(pixels)
    assert isinstance(expected, Prediction)
    forms: list[Any] = [
        pixels[0],
        pixels.numpy()[0],
        pixels.numpy().transpose(1, 2, 0),
        np.repeat(pixels.numpy().transpose(1, 2, 0), 3, axis=2),
        pixels.float() / 255,
        pixels.numpy()[0].astype(np.float64) / 255,
        Image.open(files[3]),
        Image.open(files[3]).convert("RGB"),
    ]
    for form in forms:
        assert classifier.predict(form) == expected
    for path in (files[3], str(files[3])):
        found = classifier.predict(path)
        assert isinstance(found, Prediction)
        assert (found.source, found.top) == (str(files[3]), expected.top)


def test_several_images_give_a_list_in_their_order(
    classifier: Classifier, pictures: ImageSet, files: list[Path]
) -> None:
    batch = pictures.images[:12]
    expected = [classifier.predict(image) for image in batch]
    for given in (batch, batch.numpy().transpose(0, 2, 3, 1), list(batch), (image for image in batch)):
        assert close(classifier.predict(given), expected)
    assert close(classifier.predict(files), expected)
    assert close(classifier.predict([files[0], Image.open(files[1]), batch[2]]), expected[:3])
    assert classifier.predict([]) == []


def close(found: Any, expected: Any) -> bool:
    """Whether answers agree but for the rounding of batches of other sizes."""
    assert len(found) == len(expected)
    return all(
        one.label == other.label and math.isclose(one.probability, other.probability, rel_tol=1e-5)
        for one, other in zip(found, expected, strict=True)
    )


def test_probabilities_are_the_softmax_of_the_network(classifier: Classifier, pictures: ImageSet) -> None:
    batch = pictures.images[:7]
    found = classifier.probabilities(batch)
    with torch.no_grad():
        logits = classifier.network(batch.float() / 255)
    torch.testing.assert_close(found, torch.softmax(logits, 1))
    answers = classifier.predict(batch, top=10)
    assert isinstance(answers, list)
    for row, answer in zip(found, answers, strict=True):
        assert [value for _, value in answer.top] == sorted((value for _, value in answer.top), reverse=True)
        assert {label: pytest.approx(value, rel=1e-5) for label, value in answer.top} == dict(
            zip(classifier.classes, row.tolist(), strict=True)
        )
        assert (answer.label, answer.probability) == answer.top[0]


def test_the_order_is_that_of_the_logits_at_any_temperature() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([-900.0, 600.0, -300.0]))
    metadata = Metadata("own", "python", ("a", "b", "c"), (2, 2), 1, "squash", (0.0,), (1.0,))
    for temperature in (0.1, 1.0, 50.0):
        own = Classifier(network, metadata).with_temperature(temperature)
        answer = own.predict(np.zeros((2, 2), np.uint8))
        assert isinstance(answer, Prediction)
        assert [label for label, _ in answer.top] == ["b", "c", "a"], temperature


def test_it_learned_something(classifier: Classifier, pictures: ImageSet) -> None:
    answers = classifier.predict(pictures.images)
    assert isinstance(answers, list)
    right = [answer.label == pictures.classes[label] for answer, label in zip(answers, pictures.labels, strict=True)]
    assert np.mean(right) > 0.6


def test_the_lone_weights_elsewhere_answer_as_the_run_does(
    unbroken: Path, classifier: Classifier, pictures: ImageSet, tmp_path: Path
) -> None:
    shutil.copy(unbroken / "best.safetensors", tmp_path / "분류기.bin")
    lone = neocog.load(tmp_path / "분류기.bin")
    assert lone.classes == classifier.classes and lone.geometry == classifier.geometry
    assert torch.equal(lone.probabilities(pictures.images), classifier.probabilities(pictures.images))
    for same in (neocog.load(Run(unbroken)), Run(unbroken).classifier()):
        assert torch.equal(same.probabilities(pictures.images[:5]), classifier.probabilities(pictures.images[:5]))


def test_unsure_below_the_confidence_asked_for(classifier: Classifier, pictures: ImageSet) -> None:
    sure = classifier.predict(pictures.images[:50])
    assert isinstance(sure, list)
    least = sorted(answer.probability for answer in sure)[25]
    found = classifier.predict(pictures.images[:50], min_confidence=least)
    assert isinstance(found, list)
    assert [answer.unsure for answer in found] == [answer.probability < least for answer in sure]
    assert 0 < sum(answer.unsure for answer in found) < 50
    assert not any(answer.unsure for answer in sure)


def test_top_is_at_most_the_classes(classifier: Classifier, pictures: ImageSet) -> None:
    for asked, given in ((1, 1), (4, 4), (99, 10)):
        found = classifier.predict(pictures.images[0], top=asked)
        assert isinstance(found, Prediction) and len(found.top) == given


def test_a_stream_keeps_the_order_and_names_what_it_cannot_read(
    classifier: Classifier, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(files[0].read_bytes()[:60])
    (tmp_path / "text.png").write_text("not an image")
    bad = [tmp_path / "empty.png", tmp_path / "cut.png", tmp_path / "text.png", tmp_path / "missing.png", tmp_path]
    paths = [bad[0], *files[:3], bad[1], *files[3:6], *bad[2:], *files[6:]] * 30
    found = list(classifier.stream(paths, top=2))
    assert [answer.source for answer in found] == [str(path) for path in paths]
    assert [isinstance(answer, Unreadable) for answer in found] == [path in bad for path in paths]
    assert all(answer.reason for answer in found if isinstance(answer, Unreadable))
    good = [answer for answer in found if isinstance(answer, Prediction)]
    assert close(good[:12], classifier.predict(files, top=2))
    assert list(classifier.stream([])) == []
    assert all(isinstance(answer, Unreadable) for answer in classifier.stream(bad))


def test_a_stream_reads_no_further_than_it_is_asked_to(classifier: Classifier, files: list[Path]) -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield files[taken % 12]

    answers = classifier.stream(endless())
    for _ in range(3):
        next(answers)
    assert taken <= 256


def test_evaluation_gives_the_figures_of_the_run(unbroken: Path, classifier: Classifier, pictures: ImageSet) -> None:
    metrics = Run(unbroken).metrics["test"]
    for given in (pictures, "digits"):
        found = classifier.evaluate(given)
        assert found.accuracy == metrics["accuracy"] and found.images == metrics["images"]
        assert found.loss == pytest.approx(metrics["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (None, "got NoneType"),
        (3, "got int"),
        ([3], "got int"),
        ([None], "got NoneType"),
        (b"bytes", "got int"),
        (np.zeros((8, 8, 2), np.uint8), r"got shape \(8, 8, 2\)"),
        (np.zeros((8,), np.uint8), "got shape"),
        (np.zeros((0, 8), np.uint8), "got shape"),
        (torch.zeros(2, 8, 8, dtype=torch.uint8), r"got shape \(2, 8, 8\)"),
        (np.zeros((8, 8), np.int64), "got int64 from 0 to 0"),
        (np.full((8, 8), 1.5), "floats from 0 to 1; got float64"),
        (np.full((8, 8), np.nan), "from nan to nan"),
        ("missing.png", "there is no such file"),
        (Path(__file__), "not an image"),
    ],
)
def test_what_is_no_image_is_refused(image: Any, says: str, classifier: Classifier) -> None:
    with pytest.raises(DataError, match=says):
        classifier.predict(image)


def test_impossible_wishes_are_refused(classifier: Classifier, pictures: ImageSet) -> None:
    with pytest.raises(DataError, match="top = 0"):
        classifier.predict(pictures.images[0], top=0)
    with pytest.raises(DataError, match=r"min_confidence = 1\.5"):
        classifier.predict(pictures.images[0], min_confidence=1.5)


def test_colour_images_of_other_sizes_are_scaled_as_recorded(tmp_path: Path) -> None:
    loaded = neocog.load(weights(tmp_path / "w.safetensors"))
    photo = Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 20).convert("RGB")
    found = loaded.predict(photo, top=2)
    assert isinstance(found, Prediction)
    small = np.asarray(photo.resize((9, 6), Image.Resampling.BILINEAR), np.float64) / 255
    scaled = (small - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    state = load_file(tmp_path / "w.safetensors")
    logits = (
        state["linear1.weight"].double().numpy() @ scaled.transpose(2, 0, 1).ravel() + state["linear1.bias"].numpy()
    )
    expected = np.exp(logits) / np.exp(logits).sum()
    assert dict(found.top) == pytest.approx({"개": expected[0], "cat": expected[1]}, rel=1e-4)


SPY = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n"
NETS = SPY + (
    "from torch import nn\n"
    "def build(input_shape, num_classes):\n"
    "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 9, num_classes))\n"
)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_own_nets", raising=False)
    (tmp_path / "my_own_nets.py").write_text(NETS)
    return tmp_path / "my_own_nets.py"


@pytest.mark.parametrize("kind", ["python", "notation", "name"])
def test_code_that_a_file_names_is_never_imported_by_itself(kind: str, code: Path) -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 9, 2))
    file = weights(code.parent / "w.safetensors", own, network="my_own_nets:build", kind=kind)
    with pytest.raises(WeightsError, match=r"needs code .* my_own_nets:build.*--model my_own_nets:build"):
        neocog.load(file)
    assert not code.with_suffix(".ran").exists() and "my_own_nets" not in sys.modules
    for model in ("my_own_nets:build", nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 9, 2))):
        assert torch.equal(neocog.load(file, model=model).network.state_dict()["1.weight"], own[1].weight)
    assert code.with_suffix(".ran").exists()
    with pytest.raises(WeightsError, match="does not fit the network"):
        neocog.load(file, model=nn.Sequential(nn.Flatten(), nn.Linear(5, 2)))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"network": "lenet6"}, WeightsError, "its network cannot be built"),
        ({"network": "conv 3"}, WeightsError, "its network cannot be built"),
        ({"network": ""}, WeightsError, "its network cannot be built"),
        ({"network": "lenet5", "image_size": (2, 2)}, WeightsError, "its network cannot be built"),
        ({"classes": ("a", "b", "c")}, WeightsError, "made for 2 classes, the network for 3"),
        ({"classes": ()}, NeocogError, "."),
        ({"channels": 1}, NeocogError, "."),
        ({"resize": "melt"}, NeocogError, "."),
        ({"std": (0.0,)}, NeocogError, "."),
        ({"mean": ()}, NeocogError, "."),
        ({"image_size": (-6, 9)}, NeocogError, "."),
    ],
)
def test_metadata_that_make_no_classifier_are_refused(
    changes: dict[str, Any], error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        neocog.load(weights(tmp_path / "w.safetensors", **changes))


def test_weights_without_metadata_and_files_that_are_none(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match="not what neocog stores beside them"):
        neocog.load(tmp_path / "bare.safetensors")
    with pytest.raises(RunError, match="there is no run or weights file"):
        neocog.load(tmp_path / "missing")
    with pytest.raises(RunError, match="is not a run"):
        neocog.load(tmp_path)
    with pytest.raises(WeightsError, match="is not a weights file"):
        neocog.load(__file__)


def test_a_device_that_is_not_there(unbroken: Path) -> None:
    with pytest.raises(RecipeError, match="device = 'cuda:99'"):
        neocog.load(unbroken, device="cuda:99")


def test_metadata_hold_all_that_the_run_holds(unbroken: Path, classifier: Classifier) -> None:
    run = Run(unbroken)
    assert classifier.metadata.recipe == run.recipe.text()
    assert classifier.metadata.figures == run.metrics
    assert json.loads(json.dumps(classifier.metadata.values()))["version"] == neocog.__version__


def test_loading_and_predicting_leave_the_users_generator_and_threads(unbroken: Path, pictures: ImageSet) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    neocog.load(unbroken).predict(pictures.images[:3])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_classifier_loads_in_a_process_of_its_own(unbroken: Path, files: list[Path]) -> None:
    code = f"import neocog; print(neocog.load({str(unbroken)!r}).predict({str(files[0])!r}).label)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() in "0123456789", done.stderr
