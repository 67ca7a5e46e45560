from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neocog.errors import ModelError, NotationError
from neocog.models import NotationNetwork, build, catalogue
from neocog.models.bitmaps import digit_bitmaps
from neocog.models.builder import Init
from neocog.models.trace import trace
from neocog.notation import parse

NETS = """
import torch
from torch import nn

def build(input_shape, num_classes, width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], num_classes))

def plain():
    return nn.Identity()

def anything(**arguments):
    net = nn.Identity()
    net.arguments = arguments
    return net

def needs(depth, num_classes):
    return nn.Identity()

def fails(num_classes):
    raise ValueError("the disk is upside down")

def wrong(num_classes):
    return num_classes

def later():
    import helper_beside_nets
    return helper_beside_nets.network

class Nets:
    @staticmethod
    def build(num_classes):
        return nn.Linear(1, num_classes)

network = nn.Linear(2, 3)
number = 5
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    # A module name of its own for each test: an imported module stays imported.
    name = f"nets_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(NETS, encoding="utf-8")
    (tmp_path / "helper_beside_nets.py").write_text("from torch import nn\nnetwork = nn.Linear(4, 5)\n")
    monkeypatch.chdir(tmp_path)
    return name


def sames(draw: st.DrawFn, channels: int) -> str:
    kernel = f"{draw(st.integers(1, 4))}x{draw(st.integers(1, 4))}"
    return f"conv {channels} {kernel} same dilation {draw(st.integers(1, 2))}{draw(st.sampled_from(['', ' nobias']))}"


@st.composite
def stages(draw: st.DrawFn) -> str:
    channels = draw(st.integers(1, 3)) * 2
    kernel = f"{draw(st.integers(1, 3))}x{draw(st.integers(1, 3))}"
    return draw(
        st.sampled_from(
            [
                f"conv {channels} {kernel} stride {draw(st.integers(1, 2))} pad {draw(st.integers(0, 2))}",
                f"conv {channels} {kernel} full",
                sames(draw, channels),
                f"conv {channels} 1x1 | conv {channels} 3x3 same groups 2 | batchnorm",
                f"maxpool {draw(st.integers(1, 3))} stride {draw(st.integers(1, 2))}",
                "avgpool 2x3 stride 2x1 pad 1x1",
                f"subsample {kernel}",
                f"conv 3 {kernel} same{draw(st.sampled_from(['', ' nobias']))} table 0 0 0 | conv 2 1x1 table 0+2 1",
                draw(
                    st.sampled_from(
                        ["relu", "tanh", "scaledtanh", "sigmoid", "gelu", "silu", "dropout 0.3", "batchnorm"]
                    )
                ),
                f"residual({sames(draw, channels)} | relu ; conv {channels} 1x1)",
                "residual(batchnorm | relu)",
                f"2 * (conv {channels} 3x3 same | relu)",
            ]
        )
    )


@st.composite
def networks(draw: st.DrawFn) -> str:
    middle = draw(st.lists(stages(), max_size=5))
    head = draw(
        st.sampled_from(
            [
                "flatten | linear classes",
                "globalavgpool | linear 5 nobias | relu | linear classes",
                "flatten | batchnorm | linear classes | softmax",
                "globalavgpool | linear 6 | rbf classes",
            ]
        )
    )
    return " | ".join([*middle, head])


@settings(max_examples=60, deadline=None)
@given(networks(), st.sampled_from([(1, 9, 9), (3, 8, 11)]), st.integers(1, 4))
def test_a_built_network_is_what_its_notation_says(text: str, shape: tuple[int, int, int], classes: int) -> None:
    try:
        layers = parse(text).shapes(shape, classes)
    except NotationError:
        return
    network = build(text, shape, classes)
    traced = trace(network, shape)
    assert [(row.name, row.output_shape, row.parameters, row.macs) for row in traced] == [
        (layer.name, layer.output_shape, layer.parameters, layer.macs) for layer in layers
    ]
    assert {name: tuple(p.shape) for name, p in network.named_parameters()} == {
        f"{layer.name}.{key}": shape for layer in layers for key, shape in layer.parameter_shapes.items()
    }


def test_state_dict_keys_are_the_names_of_the_notation() -> None:
    text = "conv 4 3x3 same | residual(conv 8 3x3 same | batchnorm ; conv 8 1x1) | 2 * (conv 2 1x1)"
    text += " | flatten | linear classes"
    network = build(text, (1, 6, 6), 3)
    assert [key for key in network.state_dict() if "batchnorm" not in key] == [
        "conv1.weight",
        "conv1.bias",
        "block1.conv1.weight",
        "block1.conv1.bias",
        "block1.shortcut.conv1.weight",
        "block1.shortcut.conv1.bias",
        "block2.conv1.weight",
        "block2.conv1.bias",
        "block3.conv1.weight",
        "block3.conv1.bias",
        "linear1.weight",
        "linear1.bias",
    ]
    assert isinstance(network, NotationNetwork)
    assert parse(network.notation) == parse(text)
    assert (network.input_shape, network.num_classes) == ((1, 6, 6), 3)


@pytest.mark.parametrize("entry", [e for e in catalogue.entries() if e.notation], ids=lambda entry: entry.name)
def test_named_networks_have_their_parameters_and_give_logits(entry: catalogue.Entry) -> None:
    network = build(entry.name, entry.input_shape, entry.num_classes).eval()
    assert sum(p.numel() for p in network.parameters()) == entry.parameters
    assert network(torch.zeros(2, *entry.input_shape)).shape == (2, entry.num_classes)


def test_lenet5_computes_what_its_layers_say() -> None:
    network = build("lenet5", (1, 28, 28), 10, seed=1)
    weights = network.state_dict()
    x = torch.rand(3, 1, 28, 28)
    y = F.max_pool2d(F.relu(F.conv2d(x, weights["conv1.weight"], weights["conv1.bias"], padding=2)), 2)
    y = F.max_pool2d(F.relu(F.conv2d(y, weights["conv2.weight"], weights["conv2.bias"])), 2).flatten(1)
    for name in ("linear1", "linear2", "linear3"):
        y = F.linear(y, weights[f"{name}.weight"], weights[f"{name}.bias"])
        y = y if name == "linear3" else F.relu(y)
    assert torch.allclose(network(x), y, atol=1e-6)


def test_a_residual_adds_its_shortcut_to_its_body() -> None:
    network = build("residual(conv 2 3x3 same | relu ; conv 2 1x1) | residual(tanh) | flatten", (1, 4, 4))
    block = network.get_submodule("block1")
    x = torch.randn(2, 1, 4, 4)
    first = torch.relu(block.get_submodule("conv1")(x)) + block.get_submodule("shortcut.conv1")(x)
    assert torch.allclose(network(x), (torch.tanh(first) + first).flatten(1), atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kernel", [(2, 2), (4, 3), (3, 2), (3, 3)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_padding_is_that_of_pytorch(kernel: tuple[int, int], dilation: int) -> None:
    network = build(f"conv 2 {kernel[0]}x{kernel[1]} same dilation {dilation}", (3, 7, 9), seed=0)
    conv = network.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    x = torch.randn(2, 3, 7, 9)
    total = [(k - 1) * dilation for k in kernel]
    margins = (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2)
    expected = F.conv2d(F.pad(x, margins), conv.weight, conv.bias, dilation=dilation)
    assert network(x).shape == (2, 2, 7, 9)
    assert torch.allclose(network(x), expected, atol=1e-5)


def test_the_small_layers_follow_their_definitions() -> None:
    x = torch.randn(2, 3, 4, 5)
    tanh = build("scaledtanh", (3, 4, 5))(x).double()
    assert torch.allclose(tanh, 1.7159 * torch.tanh(2 * x.double() / 3), atol=1e-6)
    assert torch.allclose(build("globalavgpool", (3, 4, 5))(x), x.flatten(2).mean(2), atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_a_trailing_softmax_leaves_the_logits(training: bool) -> None:
    plain = build("flatten | linear classes", (1, 2, 2), 3, seed=5).train(training)
    soft = build("flatten | linear classes | softmax", (1, 2, 2), 3, seed=5).train(training)
    x = torch.randn(4, 1, 2, 2)
    assert torch.equal(soft(x), plain(x))
    assert "softmax1" in dict(soft.named_children())


def test_a_seed_gives_the_same_weights_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    one, two = (build("lenet5", (1, 28, 28), 10, seed=7).state_dict() for _ in range(2))
    other = build("lenet5", (1, 28, 28), 10, seed=8).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


def test_without_a_seed_the_weights_come_from_the_generator_of_the_user() -> None:
    torch.manual_seed(7)
    one = build("lenet5", (1, 28, 28), 10).state_dict()
    seeded = build("lenet5", (1, 28, 28), 10, seed=7).state_dict()
    two = build("lenet5", (1, 28, 28), 10).state_dict()
    assert torch.equal(one["conv1.weight"], seeded["conv1.weight"])
    assert not torch.equal(one["conv1.weight"], two["conv1.weight"])


def test_glorot_weights_lie_within_their_bound_and_biases_are_zero() -> None:
    network = build("fashion-cnn", (1, 28, 28), 10, init="glorot", seed=0)
    state = network.state_dict()
    bounds = {"conv1": (6 / (9 + 90)) ** 0.5, "linear1": (6 / 2060) ** 0.5, "linear2": (6 / 110) ** 0.5}
    for name, bound in bounds.items():
        largest = state[f"{name}.weight"].abs().max().item()
        assert 0.9 * bound < largest <= bound
        assert not state[f"{name}.bias"].any()


def test_glorot_weights_of_a_table_follow_its_connections() -> None:
    # Map 0 sees one input of two, map 1 both; input 0 feeds both maps, input 1 one.
    network = build("conv 2 40x40 table 0 0+1", (2, 40, 40), init="glorot", seed=0)
    weight, bias = network.state_dict()["conv1.weight"], network.state_dict()["conv1.bias"]
    for kernel, fans in zip(weight, (1 + 2, 2 + 2, 2 + 1), strict=True):
        bound = (6 / (fans * 1600)) ** 0.5
        assert 0.99 * bound < kernel.abs().max().item() <= bound
    assert not bias.any()


def test_lecun_weights_lie_within_their_bound() -> None:
    network = build("lenet5-1998", (1, 32, 32), 10, init="lecun-1998", seed=0)
    state = network.state_dict()
    for name, fan_in in (("conv1", 25), ("conv3", 400), ("linear1", 120)):
        for key in ("weight", "bias"):
            assert 0.6 * 2.4 / fan_in < state[f"{name}.{key}"].abs().max().item() <= 2.4 / fan_in
    # The coefficient of the sum of 4 values lies within 2.4 / 4; of their mean it is 4 times that.
    for name in ("subsample1", "subsample2"):
        assert 0.6 < state[f"{name}.weight"].abs().max().item() <= 2.4
        assert state[f"{name}.bias"].abs().max().item() <= 0.6
    first = 0
    for output, maps in enumerate([3] * 6 + [4] * 9 + [6]):
        bound = 2.4 / (maps * 25)
        assert 0.9 * bound < state["conv2.weight"][first : first + maps].abs().max().item() <= bound
        assert state["conv2.bias"][output].abs().item() <= bound
        first += maps


@pytest.mark.parametrize("init", ["default", "glorot", "lecun-1998"])
def test_the_targets_of_rbf_units_keep_their_own_rule(init: Init) -> None:
    fixed = build("lenet5-1998", (1, 32, 32), 10, init=init, seed=0).state_dict()["rbf1.targets"]
    assert torch.equal(fixed, torch.tensor(digit_bitmaps(), dtype=torch.float32))
    trained = build("flatten | rbf classes", (1, 20, 20), 10, init=init, seed=0).state_dict()["rbf1.targets"]
    assert trained.shape == (10, 400) and torch.equal(trained.abs(), torch.ones(10, 400))
    assert abs(trained.mean().item()) < 0.1


def test_without_a_rule_subsampling_begins_as_average_pooling_and_a_table_as_pytorch_begins_a_convolution() -> None:
    network = build("subsample 2x3 | flatten | linear classes", (3, 4, 6), 2, seed=0)
    x = torch.randn(2, 3, 4, 6)
    assert torch.equal(network.get_submodule("subsample1")(x), F.avg_pool2d(x, (2, 3)))
    state = build("conv 2 30x30 table 0 0+1", (2, 30, 30), seed=0).state_dict()
    for weight, fan_in in ((state["conv1.weight"][:1], 900), (state["conv1.weight"][1:], 1800)):
        assert 0.99 * fan_in**-0.5 < weight.abs().max().item() <= fan_in**-0.5


def test_a_module_comes_back_as_it_is() -> None:
    module = nn.Linear(2, 2)
    weight = module.weight.clone()
    assert build(module, (1, 2, 2), 5, init="glorot", seed=0) is module
    assert torch.equal(module.weight, weight)


def test_functions_and_classes_are_called_with_what_they_take(nets: str) -> None:
    made = build(lambda num_classes: nn.Linear(1, num_classes), (1, 2, 2), 5)
    assert isinstance(made, nn.Linear) and made.out_features == 5
    assert build(f"{nets}:build", (1, 4, 4), 6)(torch.zeros(2, 1, 4, 4)).shape == (2, 6)
    assert isinstance(build(f"{nets}:plain", (1, 4, 4), 6), nn.Identity)
    assert build(f"{nets}:anything", (1, 4, 4), 6).arguments == {"input_shape": (1, 4, 4), "num_classes": 6}
    assert build(f"{nets}:Nets.build", (1, 4, 4), 6).out_features == 6
    assert build(f"{nets}:network", (1, 4, 4), 6).out_features == 3
    assert build(f"{nets}:later", (1, 4, 4), 6).in_features == 4


def test_the_current_directory_is_importable_only_for_the_call(nets: str) -> None:
    import sys

    before = list(sys.path)
    build(f"{nets}:plain", (1, 4, 4), 6)
    assert sys.path == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{}:biuld", "Did you mean 'build'"),
        ("{}:needs", "needs 'depth', but is called with input_shape and num_classes alone"),
        ("{}:fails", "failed with ValueError: the disk is upside down"),
        ("{}:wrong", "gave an object of type int; expected a torch.nn.Module"),
        ("{}:number", "is of type int; expected a function that gives"),
        ("no_such_package_at_all.nets:build", "cannot find the Python module 'no_such_package_at_all'"),
        ("{}.py:build", "written package.module:function"),
        ("some/{}.py:build", "For example some.nets_"),
        ("{}:", "written package.module:function"),
    ],
)
def test_paths_that_cannot_be_used_say_why(nets: str, path: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build(path.format(nets), (1, 4, 4), 6)


def test_a_module_that_fails_to_import_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_nets.py").write_text("import a_module_that_is_missing\n", encoding="utf-8")
    with pytest.raises(ModelError, match="importing broken_nets failed with ModuleNotFoundError"):
        build("broken_nets:build", (1, 4, 4), 6)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("", ModelError, "no network is given"),
        ("lenet", ModelError, "Did you mean lenet5"),
        ("Conv2d(1, 6, 5)", NotationError, "conv 6 5x5"),
        ("conv 8 3x3 | flaten | linear classes", NotationError, "flatten"),
        ("conv 8 9x9 | flatten | linear classes", NotationError, "conv1"),
        ("flatten | linear 7", NotationError, "linear classes"),
    ],
)
def test_networks_that_cannot_be_built_say_why(model: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build(model, (1, 4, 4), 6)


def test_settings_that_cannot_be_used_say_why() -> None:
    with pytest.raises(ModelError, match="num_classes is a whole number of at least 1, not 0"):
        build("mlp", (1, 4, 4), 0)
    with pytest.raises(ModelError, match="init is one of 'default', 'glorot', 'lecun-1998', not 'he'"):
        build("mlp", (1, 4, 4), 2, init="he")  # type: ignore[arg-type]
    with pytest.raises(NotationError, match="1x28x28"):
        build("mlp", (28, 28, 1), 2)
