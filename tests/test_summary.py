import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from neocog.errors import ModelError, NotationError
from neocog.models import ScaledNetwork, Scaling, build, catalogue
from neocog.notation import parse
from neocog.summary import explain_layer, summarize

GOLDEN = Path(__file__).parent / "golden"
WRITTEN = [entry for entry in catalogue.entries() if entry.notation is not None]


@pytest.mark.parametrize(
    ("file", "model", "shape"),
    [
        ("summary_lenet5.txt", "lenet5", (1, 28, 28)),
        ("summary_lenet5_1998.txt", "lenet5-1998", (1, 32, 32)),
        ("summary_remainder.txt", "conv 8 3x3 stride 3 | relu | flatten | linear 10 | softmax", (1, 7, 7)),
        (
            "summary_residual.txt",
            "residual(conv 8 3x3 same | batchnorm ; conv 8 1x1) | globalavgpool | linear 2",
            (3, 16, 16),
        ),
    ],
)
def test_the_table_is_the_golden_one(file: str, model: str, shape: tuple[int, int, int]) -> None:
    assert f"{summarize(model, shape)}\n" == (GOLDEN / file).read_text(encoding="utf-8")


def test_a_built_network_has_the_arithmetic_of_its_notation() -> None:
    module = build("lenet5", (1, 28, 28), 10)
    told = explain_layer(module, (1, 28, 28), None, "all")
    assert told == explain_layer("lenet5", (1, 28, 28), None, "all")
    assert told + "\n" == (GOLDEN / "notation_why_lenet5.txt").read_text(encoding="utf-8")
    module.add_module("linear3", nn.Linear(84, 3))
    exchanged = explain_layer(module, (1, 28, 28), None, "linear3")
    assert "3 * (84 + 1) = 255" in exchanged and "receptive field" not in exchanged


def test_the_arithmetic_of_a_module_that_is_not_in_the_notation() -> None:
    told = explain_layer("resnet18", (3, 65, 65), 4, "all")
    assert f"{told}\n" == (GOLDEN / "summary_why_resnet18.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg11-bn"])
def test_the_parameters_that_are_written_out_add_up(name: str) -> None:
    with torch.device("meta"):
        module = build(name, (3, 64, 64), 5)
    lines = explain_layer(module, (3, 64, 64), None, "all").splitlines()
    counts = [line.rpartition(" = ")[2] for line in lines if line.startswith("  parameters") and "none" not in line]
    assert sum(int(count.replace(",", "")) for count in counts) == sum(p.numel() for p in module.parameters())


def test_a_block_stands_for_the_layers_inside_and_a_note_for_what_is_left_out() -> None:
    block = explain_layer("resnet18", (3, 64, 64), 2, "layer2.0.downsample")
    assert [line.partition(":")[0] for line in block.splitlines() if not line.startswith((" ", "note"))] == [
        "layer2.0.downsample.0",
        "",
        "layer2.0.downsample.1",
    ]
    told = explain_layer("conv 8 3x3 stride 3", (1, 7, 7), None, "conv1")
    assert told.endswith("'pad 1' gives (7 - 3 + 2*1) / 3 + 1 = 3, so 3x3 with nothing left out")


@pytest.mark.parametrize(
    ("model", "layer", "says"),
    [
        ("lenet5", "conv3", "no layer 'conv3'; did you mean 'conv2'?\nIts layers are conv1, relu1, pool1, conv2"),
        ("resnet18", "layerl", "no layer 'layerl'; did you mean 'layer4'?\nIts layers are conv1, bn1, relu, maxpool, "),
    ],
)
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(model: str, layer: str, says: str) -> None:
    with pytest.raises(ModelError, match=re.escape(says)):
        explain_layer(model, (1, 28, 28) if model == "lenet5" else (3, 64, 64), None, layer)


class Unusual(nn.Module):
    """Layers without a word in the notation, and one whose settings were changed after it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.reflected = nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")
        self.same = nn.Conv2d(2, 2, 3, padding="same")
        self.ceiled = nn.MaxPool2d(2, ceil_mode=True)
        self.trimmed = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.turned = nn.ConvTranspose2d(2, 1, 2)
        self.bent = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.bent(self.turned(self.trimmed(self.ceiled(self.same(self.reflected(x))))))
        return result


def test_a_table_without_a_receptive_field_leaves_the_column_out() -> None:
    lines = str(summarize(Unusual(), (1, 9, 9))).splitlines()
    assert "receptive field" not in lines[2] and lines[2].endswith("MACs  activations")
    assert len(lines[3]) == max(map(len, lines[2:10])) == len(lines[2])
    assert "  receptive field  " in str(summarize(nn.Sequential(nn.ReLU(), nn.PReLU()), (1, 9, 9)))


def test_a_block_is_told_with_its_sum() -> None:
    network = "conv 4 3x3 same | residual(conv 4 3x3 same | batchnorm) | residual(conv 8 3x3 same ; conv 8 1x1) | relu"
    told = explain_layer(network, (3, 9, 9), None, "block1")
    assert told.count("\n\n") == 2
    assert told.split("\n\n")[2] == (
        "block1: residual, body + shortcut\n"
        "  body             block1.batchnorm1 gives 4x9x9\n"
        "  shortcut         the input itself, 4x9x9\n"
        "  output           4x9x9 + 4x9x9, value by value, so 4x9x9\n"
        "  parameters       none of its own\n"
        "  MACs             none\n"
        "  receptive field  5x5 from -2,-2 every 1 and 3x3 from -1,-1 every 1, together 5x5 from -2,-2 every 1"
    )
    assert "shortcut         block2.shortcut.conv1 gives 8x9x9" in explain_layer(network, (3, 9, 9), None, "block2")
    module = build(network, (3, 9, 9))
    assert explain_layer(module, (3, 9, 9), None, "all") == explain_layer(network, (3, 9, 9), None, "all")
    with pytest.raises(ModelError, match=r"Its layers are conv1, block1.conv1, block1.batchnorm1, block2.conv1, "):
        explain_layer(network, (3, 9, 9), None, "block3")


def test_a_built_network_has_the_notes_of_its_notation() -> None:
    network = "conv 8 3x3 stride 3"
    told = explain_layer(network, (1, 7, 7), None, "all")
    assert "note: " in told and explain_layer(build(network, (1, 7, 7)), (1, 7, 7), None, "all") == told


def test_a_module_without_a_word_is_told_by_its_shapes() -> None:
    told = explain_layer(Unusual(), (1, 9, 9), None, "all")
    assert f"{told}\n" == (GOLDEN / "summary_why_unusual.txt").read_text(encoding="utf-8")


def test_lenet5_has_the_figures_of_the_course() -> None:
    summary = summarize("lenet5", (1, 28, 28), 10)
    by_layer = [row.parameters for row in summary.rows if row.parameters]
    assert by_layer == [156, 2_416, 48_120, 10_164, 850]
    assert (summary.parameters, summary.trainable) == (61_706, 61_706)
    figures = (summary.input_mb, summary.activations_mb, summary.parameters_mb, summary.total_mb)
    assert [f"{figure:.2f}" for figure in figures] == ["0.00", "0.11", "0.24", "0.35"]


def test_vgg16_has_the_memory_that_torchsummary_states() -> None:
    summary = summarize("vgg16", (3, 224, 224))
    figures = (summary.input_mb, summary.activations_mb, summary.parameters_mb, summary.total_mb)
    assert [f"{figure:.2f}" for figure in figures] == ["0.57", "218.78", "527.79", "747.15"]


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_the_notation_and_the_built_module_have_the_same_summary(entry: catalogue.Entry) -> None:
    written = summarize(entry.name, entry.input_shape)
    module = build(entry.name, entry.input_shape, entry.num_classes)
    built = summarize(module, entry.input_shape)
    assert built.rows == written.rows
    assert sum(row.parameters for row in written.rows) == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg11-bn"])
def test_the_rows_of_a_module_add_up_to_its_parameters(name: str) -> None:
    with torch.device("meta"):
        module = build(name, (3, 64, 64), 5)
    summary = summarize(module, (3, 64, 64))
    assert summary.parameters == sum(p.numel() for p in module.parameters())
    assert summary.rows == summarize(name, (3, 64, 64), 5).rows
    uneven = {"avgpool", "flatten"} if name == "vgg11-bn" else set()
    assert all((row.receptive_field is None) == (row.name in uneven) for row in summary.rows)


def test_frozen_parameters_are_counted_apart() -> None:
    module = build("lenet5", (1, 28, 28), 10)
    module.get_submodule("conv1").requires_grad_(False)
    summary = summarize(module, (1, 28, 28))
    assert (summary.parameters, summary.trainable) == (61_706, 61_550)
    assert "parameters: 61,706, of which 61,550 trainable and 156 frozen" in str(summary)


class Odd(nn.Module):
    """Calls a layer twice, owns a parameter, leaves a layer aside, counts its calls in a buffer and draws numbers."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(4, 4)
        self.aside = nn.Linear(4, 7)
        self.scale = nn.Parameter(torch.ones(4))
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.twice.weight
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        x = self.twice(self.twice(x.flatten(1))) * self.scale + torch.rand(4)
        return {"logits": self.tied(x)}


def test_an_odd_module_is_counted_once_and_left_as_it_was() -> None:
    module = Odd().train()
    module.aside.eval()
    generator = torch.get_rng_state()
    summary = summarize(module, (1, 2, 2))
    assert [(row.name, row.parameters, row.macs) for row in summary.rows] == [
        ("twice", 20, 16),
        ("twice", 0, 16),
        ("tied", 4, 16),
        ("Odd", 4, 0),
        ("aside", 35, 0),
    ]
    assert summary.parameters == sum(p.numel() for p in module.parameters())
    assert "note: aside holds parameters but was not called as a layer" in str(summary)
    assert (module.training, module.twice.training, module.aside.training) == (True, True, False)
    assert module.calls == 0
    assert torch.equal(torch.get_rng_state(), generator)
    assert not any(child._forward_hooks for child in module.modules())
    assert all(p.grad is None for p in module.parameters())


def test_a_module_that_fails_is_left_as_it_was() -> None:
    module = build("lenet5", (1, 28, 28), 10)
    with pytest.raises(ModelError, match="cannot take an image of 3x28x28"):
        summarize(module, (3, 28, 28))
    assert module.training
    assert not any(child._forward_hooks for child in module.modules())


def test_a_scaled_network_and_one_with_an_exchanged_head_are_told_as_they_are() -> None:
    network = build("lenet5", (1, 28, 28), 10)
    scaled = summarize(ScaledNetwork(Scaling(), network), (1, 28, 28))
    assert (scaled.parameters, scaled.macs) == (61_706, 416_520)
    network.add_module("linear3", nn.Linear(84, 3))
    last = summarize(network, (1, 28, 28)).rows[-1]
    assert (last.notation, last.parameters) == ("Linear(in_features=84, out_features=3, bias=True)", 255)


def test_lazy_modules_are_refused() -> None:
    with pytest.raises(ModelError, match="lazy"):
        summarize(nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), (1, 2, 2))


def test_parsed_networks_names_and_classes() -> None:
    text = "flatten | linear classes"
    assert summarize(parse(text), (1, 2, 2), 3).rows == summarize(text, (1, 2, 2), 3).rows
    assert summarize("lenet5", (1, 28, 28), 26).rows[-1].output_shape == (26,)
    with pytest.raises(NotationError, match="num_classes"):
        summarize(text, (1, 2, 2))
    with pytest.raises(ModelError, match="lenet5"):
        summarize("lenet", (1, 28, 28))
    with pytest.raises(NotationError, match="1x28x28"):
        summarize("lenet5", (28, 28, 1))


def test_a_python_path_is_summarised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = """
from torch import nn

def build(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(4, num_classes))
"""
    (tmp_path / "nets_for_summary.py").write_text(code, encoding="utf-8")
    summary = summarize("nets_for_summary:build", (1, 2, 2), 3)
    assert summary.title == "nets_for_summary:build"
    assert summary.parameters == 15


def test_a_function_is_called_for_its_module() -> None:
    assert summarize(lambda: nn.Flatten(), (1, 2, 2)).rows[0].output_shape == (4,)


def test_memory_follows_the_rows() -> None:
    summary = summarize("small-cnn", (3, 32, 32))
    outputs = sum(math.prod(row.output_shape or ()) for row in summary.rows)
    assert summary.activations_mb == 2 * 4 * outputs / 2**20
    assert summary.input_mb == 4 * 3 * 32 * 32 / 2**20
    assert summary.total_mb == summary.input_mb + summary.activations_mb + summary.parameters_mb
