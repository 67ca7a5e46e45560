"""Where the layers of the named modules look, against NaN that is followed from the image, and what is not known."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from neocog.explain import receptive_field
from neocog.models import build
from neocog.models.layers import as_layer
from neocog.models.resnet import BasicBlock
from neocog.models.trace import trace
from neocog.models.vgg import VGG
from neocog.models.views import Look, located
from neocog.notation import SumShape


def looks(model: nn.Module, shape: tuple[int, int, int]) -> list[tuple[str, Look | None]]:
    """Each call by the name that `explain` has for it: the second of `relu` is `relu:2`."""
    times = Counter[str]()
    found = []
    for item in located(model, shape, trace(model, shape)):
        if not isinstance(item, SumShape):
            times[item[0].name] += 1
            time = times[item[0].name]
            found.append((item[0].name + (f":{time}" if time > 1 else ""), item[1]))
    return found


def spans(look: Look, unit: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    assert look.view_out is not None
    if look.view_out.grid == (1, 1):
        unit = (0, 0)
    return tuple(
        (max(first, 0), min(last, length - 1))
        for (first, last), length in zip(look.view_out.sees(*unit), size, strict=True)
    )


def small(name: str, shape: tuple[int, int, int]) -> nn.Module:
    """A named network without the layers of VGG's head that see everything and take most of the memory."""
    with torch.device("meta"):
        model = build(name, shape, 2)
        if isinstance(model, VGG):
            model.classifier = nn.Sequential(nn.Linear(512 * 49, 2))
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.01)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "shape", "every"),
    [
        ("resnet18", (1, 66, 49), 7),
        ("resnet50", (1, 49, 34), 20),
        ("vgg11", (1, 64, 40), 4),
        ("vgg16-bn", (1, 32, 40), 9),
        ("efficientnet-lite0", (1, 66, 49), 23),
        ("resnet18[:layer2.1]", (1, 49, 34), 5),
    ],
)
def test_the_layers_of_a_named_network_see_what_nan_reaches(name: str, shape: tuple[int, int, int], every: int) -> None:
    model = small(name, shape)
    found = looks(model, shape)
    checked = 0
    for number, (layer, look) in enumerate(found):
        assert look is not None, layer
        if look.view_out is None or (number % every and number < len(found) - 3):
            continue
        flat = len(look.output_shape) == 1
        middle = (0, 0) if flat else (look.output_shape[1] // 2, look.output_shape[2] // 2)
        place = (0,) if flat else (0, *middle)
        field = receptive_field(model, torch.rand(shape), layer, place)
        assert field is not None and not field.padded
        assert (field.rows, field.columns) == spans(look, middle, shape[1:]), layer
        checked += 1
    assert checked > 6


def _stage(rest: int) -> list[tuple[int, int]]:
    return [(3, 2), *[(3, 1)] * rest]


@pytest.mark.parametrize(
    ("name", "layer", "windows"),
    [
        # Kernels and strides along the widest way, stage by stage; those of 1x1 change nothing.
        ("resnet18", "layer4.1.relu:2", [(7, 2), *_stage(4), *_stage(3), *_stage(3), *_stage(3)]),
        ("resnet50", "layer4.2.relu:3", [(7, 2), *_stage(3), *_stage(3), *_stage(5), *_stage(2)]),
        (
            "efficientnet-lite0",
            "blocks.15.bn2",
            [(3, 2), (3, 1), *_stage(1), (5, 2), (5, 1), *_stage(2), *[(5, 1)] * 3, (5, 2), *[(5, 1)] * 3, (3, 1)],
        ),
        ("vgg16", "features.30", [*[*[(3, 1)] * 2, (2, 2)] * 2, *[*[(3, 1)] * 3, (2, 2)] * 3]),
    ],
)
def test_the_field_of_the_last_map_is_that_of_its_windows(
    name: str, layer: str, windows: list[tuple[int, int]]
) -> None:
    field = jump = 1
    for kernel, stride in windows:
        field, jump = field + (kernel - 1) * jump, jump * stride
    with torch.device("meta"):
        model = build(name, (3, 224, 224))
    look = dict(looks(model, (3, 224, 224)))[layer]
    assert look is not None and look.view_out is not None
    assert (look.view_out.field, look.view_out.jump) == ((field, field), (jump, jump))
    # Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, have this one.
    assert name != "vgg16" or field == 212


def test_both_calls_of_one_relu_have_their_own_field() -> None:
    found = dict(looks(BasicBlock(2, 2, 1), (2, 9, 9)))
    assert [found[name].view_out.field for name in ("relu", "relu:2")] == [(3, 3), (5, 5)]  # type: ignore[union-attr]


def test_the_sum_of_a_block_stands_before_the_relu_that_follows_it() -> None:
    block = BasicBlock(2, 4, 2)
    items = located(block, (2, 9, 9), trace(block, (2, 9, 9)))
    assert [item.name if isinstance(item, SumShape) else item[0].name for item in items][-2:] == ["BasicBlock", "relu"]
    [both] = [item for item in items if isinstance(item, SumShape)]
    assert (both.body, both.shortcut, both.output_shape) == ("bn2", "downsample.1", (4, 5, 5))
    assert [look.beside for _, look in looks(block, (2, 9, 9)) if look] == [True] * 2 + [False] * 6


@pytest.mark.parametrize(
    ("size", "wanted"), [(8, 7), (14, 7), (7, 7), (3, 1), (2, 7), (1, 7), (9, 2), (6, 4), (5, None)]
)
def test_an_adaptive_pool_is_a_pool_where_all_its_windows_are_alike(size: int, wanted: int | None) -> None:
    pool, image = nn.AdaptiveAvgPool2d((wanted, 1)), torch.rand(1, 2, size, 6, dtype=torch.float64)
    word = as_layer(pool, (2, size, 6))
    alike = (size, wanted) not in [(2, 7), (1, 7), (6, 4)]
    assert (word is not None) == alike
    if word is not None:
        torch.testing.assert_close(eval(word.torch((2, size, 6)), {"nn": nn})(image), pool(image))


def test_behind_an_uneven_adaptive_pool_only_what_sees_everything_is_known() -> None:
    head = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    fields = [look and look.view_out and look.view_out.field for _, look in looks(head, (1, 8, 8))]
    assert fields == [(3, 3), None, None, None, (8, 8)]
    again = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(4), nn.Conv2d(2, 2, 3))
    assert looks(again, (1, 8, 8))[2][1] is None


def test_the_copies_of_a_single_point_see_what_it_sees() -> None:
    copies = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32, 2))
    fields = [look and look.view_out and look.view_out.field for _, look in looks(copies, (1, 3, 3))]
    assert fields == [(3, 3), (3, 3), None, (3, 3)]


class Skipping(nn.Sequential):
    """A chain that does something else than a chain does."""

    def forward(self, input: Tensor) -> Tensor:
        first: Tensor = self[0](input)
        return first


@pytest.mark.parametrize(
    ("model", "known"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.PReLU(), nn.ReLU()), [True, False, False]),
        (nn.Sequential(nn.ReLU(), Skipping(nn.Conv2d(1, 1, 3), nn.ReLU()), nn.ReLU()), [True, False, False]),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect", padding=1)), [False]),
        (nn.Conv2d(1, 1, 3), [True]),
        (nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(1, 1, 3), nn.Tanh())), [True, True, True]),
    ],
)
def test_nothing_is_said_from_the_first_layer_on_that_is_not_known(model: nn.Module, known: list[bool]) -> None:
    assert [look is not None for _, look in looks(model, (1, 9, 9))] == known


def test_a_changed_forward_is_not_taken_for_the_one_of_its_kind() -> None:
    block = BasicBlock(1, 1, 1)
    block.forward = lambda x: block.conv2(block.conv1(x))  # type: ignore[method-assign]
    assert [look for _, look in looks(block, (1, 9, 9)) if look] == []
    tied = nn.ReLU()
    assert all(look for _, look in looks(nn.Sequential(tied, nn.Conv2d(1, 1, 3), tied), (1, 9, 9)))
