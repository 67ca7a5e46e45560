"""The whole explanation of an image: what it holds, as text, as a picture, and on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from matplotlib.figure import Figure
from PIL import Image
from tests.explain.worlds import Borrowed, named_network, randomise
from torch import nn
from typer.testing import CliRunner

import neocog as nc
from neocog.classifier import Classifier
from neocog.commands.explain import explain as explain_command
from neocog.errors import DataError, ModelError, NeocogError
from neocog.explain import Explanation, explain
from neocog.explain.attribution import METHODS
from neocog.explain.picture_maps import shown_layers
from neocog.explain.shading import beside, shaded
from neocog.metadata import Metadata
from neocog.training.checkpoint import save_tensors

GOLDEN = Path(__file__).parents[1] / "golden" / "explain_small.txt"
TEXT = "conv 2 3x3 same | relu | maxpool 2 | flatten | linear classes"


def small() -> nn.Module:
    """A network with round weights, whose numbers are exact everywhere."""
    network = nc.build(TEXT, (1, 8, 8), 2)
    with torch.no_grad():
        network.conv1.weight.copy_(torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).expand(2, 1, 3, 3))
        network.conv1.weight[1] = network.conv1.weight[0].transpose(1, 2).clone()
        network.conv1.bias.copy_(torch.tensor([-0.5, 0.25]))
        network.linear1.weight.zero_()
        network.linear1.weight[0, :16] = 0.125
        network.linear1.weight[1, 16:] = 0.125
        network.linear1.bias.zero_()
    return network.eval()


def edge() -> torch.Tensor:
    """A picture that is dark on the left and light on the right."""
    image = torch.zeros(1, 8, 8)
    image[:, :, 4:] = 1
    return image


def classifier(
    text: str = "conv 4 3x3 same | relu | maxpool 2 | flatten | linear classes", size: int = 8
) -> Classifier:
    return Classifier(randomise(nc.build(text, (1, size, size), 3)), metadata(text, size))


def metadata(text: str, size: int = 8) -> Metadata:
    return Metadata(
        network=text, kind="notation", classes=("고양이", "dog", "owl"), image_size=(size, size), channels=1,
        resize="squash", mean=(0.2,), std=(0.5,),
    )  # fmt: skip


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)


def test_the_text_is_the_golden_one() -> None:
    found = explain(small(), edge(), classes=["upright", "flat"], source="edge.png")
    assert found.text() == GOLDEN.read_text(encoding="utf-8").rstrip("\n")


def test_left_alone_it_looks_at_the_strongest_unit_of_the_channel_that_fired_most() -> None:
    found = explain(small(), edge())
    assert (found.layer, found.label, found.classes) == ("conv1", "0", ("0", "1"))
    view = found.view("conv1")
    assert view is not None and view.values.shape == (2, 8, 8)
    channel, row, column = found.pixel.place
    assert channel == 0 and found.pixel.output == view.values[0].max() == view.values[0, row, column]
    assert [part.layer for part in found.chain] == ["conv1", "relu1"]
    assert found.agrees
    assert found.kernels is not None and found.kernels.shape == (2, 1, 3, 3)
    assert found.method == "gradcam" and found.attribution_layer == "relu1"
    assert found.attribution.shape == (8, 8)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"channel": 1, "at": (2, 3)}, (1, 2, 3)),
        ({"layer": "linear1"}, (0,)),
        ({"layer": "linear1", "at": 1}, (1,)),
        ({"layer": "linear1", "channel": 1}, (1,)),
        ({"layer": "flatten1", "at": [31]}, (31,)),
        ({"layer": "linear1", "at": np.int64(1)}, (1,)),
        ({"channel": np.int64(1), "at": np.array([2, 3])}, (1, 2, 3)),
        ({"layer": "pool1", "at": (1, 1)}, (0, 1, 1)),
    ],
)
def test_the_place_asked_for_is_explained(asked: dict[str, Any], place: tuple[int, ...]) -> None:
    assert explain(small(), edge(), **asked).pixel.place == place


def test_at_a_place_the_channel_that_fires_most_is_taken() -> None:
    for image, channel in ((edge(), 0), (edge().transpose(1, 2), 1)):
        assert explain(small(), image, at=(3, 3)).pixel.place == (channel, 3, 3)


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"layer": "conv2"}, ModelError, "no layer is called 'conv2'. Did you mean conv1? There are conv1, relu1,"),
        ({"channel": 2}, ModelError, "(channels 0 to 1, rows 0 to 7, columns 0 to 7): there is no channel 2."),
        ({"channel": -1}, ModelError, "there is no channel -1."),
        ({"at": (8, 0)}, ModelError, "channel 0, row 8, column 0 lies outside of it."),
        ({"at": (1.5, 2)}, ModelError, "a place is one or several whole numbers, not (1.5, 2)."),
        ({"layer": ""}, ModelError, "no layer is called ''. There are conv1, relu1,"),
        ({"at": 3}, ModelError, "at is a row and a column, such as 4,7, not 3."),
        ({"layer": "linear1", "at": (0, 1)}, ModelError, "linear1 is flat, 2 values (0 to 1): one number says which."),
        ({"layer": "linear1", "at": 0, "channel": 1}, ModelError, "one number says which."),
        ({"layer": "linear1", "at": 2}, ModelError, "unit 2 lies outside of it."),
        ({"method": "lime"}, ModelError, "no method is called 'lime'; there are gradcam, occlusion,"),
        ({"target": "cat"}, DataError, "there is no class 'cat'. The network knows 0, 1."),
        ({"target": 2}, DataError, "there is no class 2."),
        ({"classes": ["one"]}, DataError, "the network gives 2 logits, but there are 1 classes."),
    ],
)
def test_what_is_not_there_is_refused(asked: dict[str, Any], error: type[NeocogError], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        explain(small(), edge(), **asked)


def test_a_class_is_named_by_any_whole_number() -> None:
    assert explain(small(), edge(), target=np.int64(1)).target == 1  # type: ignore[arg-type]


def test_a_layer_exchanged_later_is_not_called_what_it_was() -> None:
    network = small()
    network.conv1 = nn.Conv2d(1, 2, 5, padding=2)
    found = explain(network, edge())
    view = found.view("conv1")
    assert view is not None and view.what.startswith("Conv2d(1, 2, kernel_size=(5, 5)")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("method", [None, *METHODS])
def test_a_network_of_another_precision_is_explained_in_it(dtype: torch.dtype, method: Any) -> None:
    found = explain(small().to(dtype), edge().to(dtype), method=method)
    assert found.agrees and found.attribution.dtype == np.float32


def test_where_no_gradient_comes_through_occlusion_is_taken() -> None:
    assert explain(Borrowed(), edge()).method == "occlusion"
    for method in ("gradcam", "integrated-gradients"):
        with pytest.raises(ModelError, match=r"of a logit does not come through Borrowed: .* occlusion needs no"):
            explain(Borrowed(), edge(), method=method)  # type: ignore[arg-type]


def test_numbers_that_are_not_finite_are_traced_to_their_layer() -> None:
    network = small()
    with torch.no_grad():
        network.linear1.bias[0] = torch.nan  # type: ignore[union-attr,operator,index]
    with pytest.raises(ModelError, match="not finite for this image; linear1 is the first layer that does"):
        explain(network, edge())


def test_a_network_without_convolutions_is_explained_all_the_same() -> None:
    found = explain(randomise(nc.build("flatten | linear 4 | relu | linear 3", (1, 8, 8), None)), edge())
    assert (found.layer, found.method, found.kernels) == ("linear1", "integrated-gradients", None)
    assert "the 5 largest of 64 terms:" in found.text()


@pytest.mark.parametrize("name", ["lenet5-1998", "resnet18", "mlp", "efficientnet-lite0"])
def test_any_network_gives_a_text_and_a_picture(name: str, tmp_path: Path) -> None:
    network, image = named_network(name)
    image = image if name != "lenet5-1998" else torch.rand(1, 32, 32)
    network = network if name != "lenet5-1998" else randomise(nc.build(name, (1, 32, 32)))
    last = {"lenet5-1998": "rbf1", "resnet18": "layer2.0", "mlp": "linear2", "efficientnet-lite0": "blocks.2"}[name]
    for layer in (None, last):
        found = explain(network, image, layer=layer)
        assert found.agrees
        assert all(part in found.text() for part in (found.layer, "receptive field:", "the network says"))
    with Image.open(found.save(tmp_path / "why.png")) as drawn:
        assert drawn.width == 1210 and drawn.height > 800


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    found += [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.xaxis.label]]
    return "\n".join(found)


def test_the_picture_holds_what_the_explanation_holds(tmp_path: Path, figures: list[Figure]) -> None:
    found = classifier().explain(picture(), channel=2, at=(3, 4), method="integrated-gradients", target="고양이")
    first, second = found.save(tmp_path / "a.png"), found.save(tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    drawn = texts(figures[0])
    for part in ("integrated gradients: which pixels raise the logit of 고양이", "the kernels of conv1", "window",
                 "how one value comes about: conv1, channel 2, row 3, column 4", found.pixel.verdict(), "relu1",
                 "×", *(label for label, _ in found.top())):  # fmt: skip
        assert part in drawn, part


@pytest.mark.parametrize(("layer", "coloured"), [("conv1", True), ("conv2", False)])
def test_only_kernels_that_look_at_a_colour_image_are_coloured(
    layer: str, coloured: bool, tmp_path: Path, figures: list[Figure]
) -> None:
    text = "conv 3 3x3 same | relu | conv 4 3x3 same | relu | flatten | linear classes"
    explain(randomise(nc.build(text, (3, 8, 8), 2)), torch.rand(3, 8, 8), layer=layer).save(tmp_path / "why.png")
    assert (f"the kernels of {layer}, as colours" in texts(figures[0])) == coloured


@pytest.mark.parametrize("size", [(1, 64), (16, 80), (80, 16)])
def test_the_answers_stand_apart_however_flat_the_image(
    size: tuple[int, int], tmp_path: Path, figures: list[Figure]
) -> None:
    found = explain(
        randomise(nc.build("conv 2 1x3 same | relu | flatten | linear classes", (1, *size), 6)), torch.rand(1, *size)
    )
    found.save(tmp_path / "why.png")
    labels = [text for axes in figures[0].axes for text in axes.texts if text.get_text() in found.classes]
    assert [label.get_text() for label in labels] == [label for label, _ in found.top(6)]
    heights = [label.get_window_extent().y0 / figures[0].dpi for label in labels]
    assert (np.diff(heights) < -0.2).all()


def test_pictures_of_deep_networks_show_some_layers_and_the_one_asked_for() -> None:
    network, image = named_network("resnet34")
    found = explain(network, image, layer="layer3.2.conv2", channel=0, at=(0, 0), method="gradcam")
    shown = [layer.name for layer in shown_layers(found)]
    assert len(shown) <= 11 and "layer3.2.conv2" in shown
    assert shown == [layer.name for layer in found.layers if layer.name in shown]


def test_the_classifier_explains_what_it_predicts(tmp_path: Path) -> None:
    own = classifier()
    Image.fromarray(picture()).save(tmp_path / "x.png")
    predicted = own.predict(tmp_path / "x.png")
    assert isinstance(predicted, nc.Prediction)
    for image in (tmp_path / "x.png", str(tmp_path / "x.png"), picture(), Image.fromarray(picture())):
        found = own.explain(image)
        assert found.label == predicted.label
        assert found.probabilities.max() == pytest.approx(predicted.probability, abs=1e-6)
        assert found.image.tolist() == [picture().astype(float).tolist()]
    assert found.scaling == "(pixel / 255 - 0.2) / 0.5"
    warm = own.with_temperature(5.0).explain(picture())
    assert warm.label == predicted.label and warm.probabilities.max() < predicted.probability
    with pytest.raises(DataError, match="explain takes one image at a time; got 2 of them"):
        own.explain([picture(), picture()])  # type: ignore[arg-type]


def test_explaining_leaves_what_is_predicted_alone() -> None:
    own = classifier()
    before = own.probabilities(torch.from_numpy(picture())[None, None])
    for method in METHODS:
        own.explain(picture(), method=method)
    assert torch.equal(own.probabilities(torch.from_numpy(picture())[None, None]), before)


def test_shades_follow_the_numbers() -> None:
    assert shaded(np.array([[0.0, 0.3, 0.5, 0.7, 1.0, -0.1, -0.5, -1.0]])) == ["  ░░▒▒▓▓██  --=="]
    assert shaded(np.eye(4), columns=4, tall=True) == ["▒▒  ", "  ▒▒"]
    assert shaded(np.ones((100, 50)), columns=10, tall=True) == ["█" * 10] * 10
    assert beside([["ab", "c"], ["d"]], gap=1) == ["ab d", "c"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command in a folder with weights, four images and a file that is none."""
    monkeypatch.chdir(tmp_path)
    text = "conv 4 3x3 same | relu | maxpool 2 | flatten | linear classes"
    network = randomise(nc.build(text, (1, 8, 8), 3))
    save_tensors(tmp_path / "pets.safetensors", network.state_dict(), metadata(text).values())
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "more").mkdir()
    Image.fromarray(picture(3)).save(tmp_path / "more" / "0.png")
    (tmp_path / "notes.png").write_text("no image")
    app = typer.Typer()
    app.command()(explain_command)

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["pets.safetensors", *arguments])

    return call


def test_the_command_prints_the_explanation(run: Callable[..., Any]) -> None:
    done = run("0.png", "--layer", "relu1", "--channel", "1", "--at", "2,3", "--label", "owl", "--method", "occlusion")
    assert done.exit_code == 0, done.output
    expected = nc.load("pets.safetensors").explain(
        "0.png", layer="relu1", channel=1, at=(2, 3), target="owl", method="occlusion"
    )
    assert done.output == expected.text(width=120) + "\n"
    assert "relu1, channel 1, row 2, column 3" in done.output


def test_the_command_draws_one_file_or_a_folder_of_them(run: Callable[..., Any]) -> None:
    assert run("0.png", "--out", "why.png").exit_code == 0
    done = run("0.png", "more/0.png", "--out", "why")
    assert done.exit_code == 0 and "drawn: " in done.output
    names = {path.name for path in Path("why").iterdir()}
    assert names == {"0.explained.png", "0-2.explained.png"} and Path("why.png").is_file()


def test_the_command_goes_on_past_files_that_are_no_images(run: Callable[..., Any]) -> None:
    done = run("notes.png", "0.png")
    assert done.exit_code == 1
    assert "left out: " in done.output and "0.png: " in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["0.png", "--at", "3;4"], "--at 3;4: expected a row and a column such as 4,7"),
        (["0.png", "1.png", "--out", "x.png"], "--out x.png: 2 images need a folder, not one file."),
        (["0.png", "--out", "x.jpg"], "--out x.jpg: expected a file that ends in .png, or a folder."),
        (["0.png", "--layer", "conv9"], "no layer is called 'conv9'."),
        (["nothing.png"], "no file or folder is called nothing.png."),
        (["notes.png"], "cannot read notes.png"),
        (["0.png", "--label", "cat"], "there is no class 'cat'. The network knows 고양이, dog, owl."),
    ],
)
def test_the_command_refuses_what_cannot_be(arguments: list[str], says: str, run: Callable[..., Any]) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, NeocogError)
    assert says in str(done.exception)


def test_an_explanation_is_public() -> None:
    assert isinstance(explain(small(), edge()), Explanation)


def test_an_empty_grad_cam_is_said_to_be_empty() -> None:
    network = small()
    with torch.no_grad():
        network.linear1.weight.neg_()  # type: ignore[union-attr,operator]
    found = explain(network, edge(), method="gradcam")
    assert not found.attribution.any()
    assert "Grad-CAM at relu1: nothing speaks for 1, taken over the whole map" in found.text()


def test_the_kernels_are_those_that_the_value_comes_from_else_those_of_the_first_layer() -> None:
    network = nc.build(
        "conv 4 3x3 same | relu | conv 6 3x3 same | batchnorm | relu | globalavgpool | linear 6", (1, 8, 8), 6, seed=0
    )
    image = torch.rand(1, 8, 8)
    found = {name: explain(network, image, layer=name) for name in ("conv2", "relu2", "globalavgpool1", "linear1")}
    for name in ("conv2", "relu2", "globalavgpool1"):
        assert found[name].kernels_layer == "conv2"
        assert found[name].kernels_channel == found[name].pixel.place[0]
    assert (found["linear1"].kernels_layer, found["linear1"].kernels_channel) == ("conv1", None)


def test_the_mean_of_a_whole_map_is_written_out() -> None:
    network = nc.build("conv 2 1x1 | globalavgpool | linear 2", (1, 2, 3), 2, seed=0)
    text = explain(network, torch.rand(1, 2, 3), layer="globalavgpool1").text()
    assert re.search(r"mean -?[\d.]+ / 6 = -?[\d.]+\n +the network says \S+: equal", text)


def test_an_array_is_an_image_too() -> None:
    network = nc.build("conv 2 3x3 | flatten | linear 2", (1, 4, 4), 2, seed=0)
    image = np.random.default_rng(0).random((1, 4, 4))
    assert explain(network, image).text() == explain(network, torch.tensor(image, dtype=torch.float32)).text()
    with pytest.raises(DataError, match="tensor or an array"):
        explain(network, image.tolist())  # type: ignore[arg-type]
