"""Layers run as blocks give what they give one by one, and one by one they run wherever somebody looks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.exact import check_same, needs_blocks, one_by_one, results, whole, whole_images
from tests.kernels.networks import BLOCKS, IMAGES, network, simple, stock
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_full_backward_hook
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from neocog.kernels import context, plan
from neocog.kernels.context import using
from neocog.kernels.plan import ConvBlock, run
from neocog.kernels.plan import pays as truly_pays
from neocog.models import build

pytestmark = needs_blocks


@st.composite
def chains(draw: st.DrawFn) -> tuple[int, nn.Sequential]:
    """Channels of the images, and up to two convolutions and two poolings: more of them would not stay exact."""
    kinds = draw(st.permutations(["conv", "conv", "pool", "pool", "relu", "relu", "norm"]))
    channels = given_channels = draw(st.integers(1, 3))
    made: list[nn.Module] = []
    for kind in kinds[: draw(st.integers(1, len(kinds)))]:
        if kind == "conv":
            size, outputs = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 3))
            made.append(nn.Conv2d(channels, outputs, size, padding=size // 2, bias=draw(st.booleans())))
            channels = outputs
        elif kind == "pool":
            made.append(nn.MaxPool2d(draw(st.sampled_from([2, 3])), 2, draw(st.integers(0, 1))))
        elif kind == "relu":
            made.append(nn.ReLU(inplace=bool(made) and isinstance(made[-1], nn.Conv2d)))
        else:
            made.append(nn.BatchNorm2d(channels, eps=0.0).eval())
    return given_channels, nn.Sequential(*made)


@settings(max_examples=150, deadline=None)
@given(drawn=chains(), last=st.booleans(), seed=st.integers(0, 1000), images=st.integers(1, 3), size=st.integers(7, 13))
def test_any_chain_of_layers_gives_the_values_and_gradients_of_the_layers_one_by_one(
    drawn: tuple[int, nn.Sequential], last: bool, seed: int, images: int, size: int
) -> None:
    channels, layers = drawn
    module = whole(layers, seed)
    x = whole_images(images, channels, size, size + 3, seed=seed)
    if last:
        module.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    parameters = list(module.parameters())
    found = results(lambda x: run(list(module), x), parameters, x)
    expected = results(module, parameters, x)
    check_same(found, expected)
    # PyTorch's convolutions keep this layout, and views depend on it.
    assert last or (found[0].is_contiguous() and expected[0].is_contiguous())


def test_a_network_runs_in_blocks_and_gives_what_pytorchs_layers_give(ran: list[str]) -> None:
    module = network()
    parameters = list(module.parameters())
    found = results(module, parameters, IMAGES)
    assert ran == BLOCKS
    with using("off"):
        expected = results(module, parameters, IMAGES)
    assert ran == BLOCKS
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def last(module: nn.Module) -> nn.Module:
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def test_batch_norm_in_training_is_a_block_and_moves_its_statistics(ran: list[str]) -> None:
    text = "conv 5 1x1 | batchnorm | relu | conv 6 3x3 | maxpool 2 | batchnorm | conv 4 1x1 | batchnorm | relu"
    module = last(build(text, (2, 13, 12), seed=0))
    plain = copy.deepcopy(module)
    module.get_submodule("batchnorm3").momentum = plain.get_submodule("batchnorm3").momentum = None
    images = IMAGES.to(memory_format=torch.channels_last)
    for _ in range(2):
        found = results(module, list(module.parameters()), images)
        with using("off"):
            expected = results(plain, list(plain.parameters()), images)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert ran == ["norm relu", "conv pool", "norm relu"] * 2
    for one, other in zip(module.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    del ran[:]
    module.eval()(images)
    assert ran == ["conv pool"]


@pytest.mark.parametrize(
    "change",
    [
        lambda norm: norm.eval(),
        lambda norm: norm.register_forward_hook(lambda *given: None),
        lambda norm: norm.__setattr__("weight", None),
        lambda norm: norm.double(),
    ],
)
def test_a_batch_norm_that_is_not_quite_one_is_left_alone(change: Callable[[Any], Any], ran: list[str]) -> None:
    module = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU())
    images = IMAGES.to(memory_format=torch.channels_last)
    run(list(module), images)
    change(module[0])
    images = images.to(module[0].running_mean.dtype)
    expected = copy.deepcopy(module)(images)
    assert torch.equal(run(list(module), images), expected)
    assert ran == ["norm relu"]


def test_batch_norm_of_maps_in_pytorchs_own_layout_is_left_alone(ran: list[str]) -> None:
    run([nn.BatchNorm2d(2), nn.ReLU()], IMAGES)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        run([nn.BatchNorm2d(2), nn.ReLU()], torch.zeros(1, 2, 1, 1))
    assert not ran


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("conv 4 3x3 same | relu | maxpool 2", ["conv pool relu"]),
        ("conv 4 5x5 | maxpool 2 | batchnorm | relu", ["conv pool", "norm relu"]),
        ("conv 4 5x5 full | relu", ["conv relu"]),
        ("conv 4 3x3 same | batchnorm | relu", []),
        ("conv 4 3x3 same", []),
        ("conv 4 3x3 | relu | relu | maxpool 2", ["conv relu"]),
        ("conv 4 3x3 | maxpool 2 | maxpool 2 | relu", ["conv pool"]),
        ("conv 4 3x3 stride 2 | relu", []),
        ("conv 4 3x3 dilation 2 | relu", []),
        ("conv 4 3x3 groups 2 | relu", []),
        ("conv 4 1x1 | relu", []),
        ("conv 4 2x2 same | relu", []),
        ("conv 4 7x7 same | relu", []),
        ("conv 4 3x5 | relu", []),
        ("conv 4 3x3 pad 3 | relu", []),
        ("conv 4 3x3 | relu | maxpool 3", ["conv relu"]),
        ("conv 4 3x3 | relu | maxpool 2 stride 1", ["conv relu"]),
        ("conv 4 3x3 | avgpool 2 | relu", []),
        ("conv 4 3x3 | tanh | maxpool 2", []),
    ],
)
def test_what_is_a_block(text: str, blocks: list[str], ran: list[str]) -> None:
    module = build(text, (2, 13, 12), seed=0)
    found = module(IMAGES)
    assert ran == blocks
    torch.testing.assert_close(found, stock(module), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("conv", "pool", "blocks"),
    [
        ({"padding": "same"}, {}, ["conv pool relu"]),
        ({"padding": "valid"}, {"stride": (2, 2), "padding": (1, 1)}, ["conv pool relu"]),
        ({"padding": (1, 2)}, {}, []),
        ({"padding": 1, "padding_mode": "circular"}, {}, []),
        ({}, {"ceil_mode": True}, ["conv relu"]),
        ({}, {"dilation": 2}, ["conv relu"]),
        ({}, {"padding": (0, 1)}, ["conv relu"]),
        ({}, {"kernel_size": [2, 2]}, ["conv relu"]),
    ],
)
def test_settings_that_the_notation_does_not_have(
    conv: dict[str, Any], pool: dict[str, Any], blocks: list[str], ran: list[str]
) -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 3, **conv), nn.ReLU(), nn.MaxPool2d(**{"kernel_size": 2, **pool}))
    found = run(list(module), IMAGES)
    assert ran == blocks
    torch.testing.assert_close(found, module(IMAGES), rtol=1e-5, atol=1e-5)


def test_what_saves_passes_over_memory_always_pays() -> None:
    blocks = [ConvBlock(torch.zeros(512, 512, 3, 3), None, 1, pool, 0, not pool, 2) for pool in (False, True)]
    assert all(truly_pays(block) and truly_pays(block, "avx512", torch.Size([1, 512, 9, 9])) for block in blocks)


def test_a_pooling_that_gives_its_places_is_left_alone(ran: list[str]) -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    values, places = run(list(module), IMAGES)
    assert ran == ["conv relu"]
    assert values.shape == places.shape


def test_a_setting_that_is_changed_between_two_passes_counts(ran: list[str]) -> None:
    module = simple()
    conv: Any = module.get_submodule("conv1")
    module(IMAGES)
    conv.stride = (2, 2)
    assert torch.equal(module(IMAGES), stock(module))
    conv.stride, conv.dilation = (1, 1), [1, 1]
    module(IMAGES)
    conv.weight.data = conv.weight.data.double()
    conv.bias.data = conv.bias.data.double()
    assert module(IMAGES.double()).dtype == torch.float64
    assert ran == ["conv pool relu"]


# --- who looks ----------------------------------------------------------------------------------------------------

Event = tuple[str, list[Tensor]]


def tensors(given: object) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given.detach().clone()]
    return [tensor for item in given for tensor in tensors(item)] if isinstance(given, tuple) else []


def watch(layer: nn.Module, kind: str, seen: list[Event]) -> Any:
    def hook(module: nn.Module, *given: object) -> None:
        seen.append((kind, tensors(given)))

    return getattr(layer, f"register_{kind}")(hook)


HOOKS = ["forward_pre_hook", "forward_hook", "full_backward_hook", "full_backward_pre_hook"]


@pytest.mark.parametrize("kind", HOOKS)
@pytest.mark.parametrize(("layer", "blocks"), [("conv1", []), ("relu1", []), ("pool1", ["conv relu"])])
def test_a_hook_on_a_layer_sees_what_it_always_saw(kind: str, layer: str, blocks: list[str], ran: list[str]) -> None:
    seen: list[Event] = []
    expected: list[Event] = []
    module = simple()
    handle = watch(module.get_submodule(layer), kind, seen)
    results(module, list(module.parameters()), IMAGES)
    assert ran == blocks
    handle.remove()
    handle = watch(module.get_submodule(layer), kind, expected)
    results(one_by_one(module), list(module.parameters()), IMAGES)
    handle.remove()
    assert len(seen) == len(expected) == 1
    for one, other in zip(seen[0][1], expected[0][1], strict=True):
        assert torch.equal(one, other)
    module(IMAGES)
    assert ran == [*blocks, "conv pool relu"]


def test_a_hook_on_a_later_layer_sees_the_layout_it_always_saw(ran: list[str]) -> None:
    module = whole(build("conv 4 3x3 | relu | maxpool 2 | tanh | flatten", (2, 13, 12)))
    seen: list[Tensor] = []
    handle = module.get_submodule("tanh1").register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    module(IMAGES)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module(IMAGES.to(memory_format=torch.channels_last))
    handle.remove()
    assert ran == ["conv pool relu"] * 2
    assert seen[0].is_contiguous()
    assert seen[1].is_contiguous(memory_format=torch.channels_last) and not seen[1].is_contiguous()


@pytest.mark.parametrize("register", [register_module_forward_hook, register_module_full_backward_hook])
def test_a_hook_on_all_modules_sees_every_layer(register: Any, ran: list[str]) -> None:
    seen: list[str] = []
    handle = register(lambda layer, *given: seen.append(type(layer).__name__))
    try:
        results(simple(), [], IMAGES)
    finally:
        handle.remove()
    assert not ran
    assert {"Conv2d", "ReLU", "MaxPool2d"} <= set(seen)


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


class OtherConv(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


def _weight_norm(conv: nn.Conv2d) -> nn.Conv2d:
    parametrizations.weight_norm(conv)
    return conv


def _parametrized(conv: nn.Conv2d) -> nn.Conv2d:
    nn.utils.parametrize.register_parametrization(conv, "weight", Doubled())
    return conv


def _pruned(conv: nn.Conv2d) -> nn.Conv2d:
    prune.random_unstructured(conv, "weight", 0.5)  # type: ignore[no-untyped-call]
    return conv


def _replaced(conv: nn.Conv2d) -> nn.Conv2d:
    plain_forward = conv.forward
    conv.forward = lambda input: plain_forward(input) + 1  # type: ignore[method-assign]
    return conv


def _compiled(conv: nn.Conv2d) -> nn.Conv2d:
    conv.compile(backend="eager")
    return conv


def _subclass(conv: nn.Conv2d) -> nn.Conv2d:
    other = OtherConv(2, 4, 3, padding=1)
    other.load_state_dict(conv.state_dict())
    return other


@pytest.mark.parametrize("change", [_weight_norm, _parametrized, _pruned, _replaced, _compiled, _subclass])
def test_a_convolution_that_is_not_quite_one_is_left_alone(
    change: Callable[[nn.Conv2d], nn.Conv2d], ran: list[str]
) -> None:
    module = simple()
    conv: Any = module.get_submodule("conv1")
    module.conv1 = change(conv)
    parameters = list(module.parameters())
    check_same(results(module, parameters, IMAGES), results(one_by_one(module), parameters, IMAGES))
    assert not ran


class Tagged(Tensor):
    pass


@pytest.mark.parametrize(
    ("module", "images"),
    [
        (simple().double(), IMAGES.double()),
        (simple().bfloat16(), IMAGES.bfloat16()),
        (simple().to("meta"), IMAGES.to("meta")),
        (simple(), IMAGES.as_subclass(Tagged)),
        (simple(), IMAGES[0]),
    ],
)
def test_other_numbers_devices_and_kinds_of_tensors_are_left_alone(
    module: nn.Module, images: Tensor, ran: list[str]
) -> None:
    output, expected = module(images), one_by_one(module)(images)
    assert not ran
    assert (output.device, output.dtype, type(output)) == (images.device, images.dtype, type(images))
    assert images.is_meta or torch.equal(output, expected)


def test_autocast_runs_the_blocks_of_bfloat16_alone(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = simple()
    monkeypatch.setattr(context, "level_for", lambda bfloat16: None if bfloat16 else "avx512")
    context._best_level.cache_clear()
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert module(IMAGES).dtype == torch.bfloat16
        with torch.autocast("cpu", torch.float16):
            assert module(IMAGES).dtype == torch.float16
    finally:
        context._best_level.cache_clear()
    assert not ran


def test_with_amx_autocast_gives_blocks_float32_and_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[torch.dtype, str]] = []

    def computed(x: Tensor, weight: Tensor, bias: Tensor | None, *, level: str, **settings: Any) -> Tensor:
        given.append((x.dtype, level))
        y = F.max_pool2d(F.conv2d(x.float(), weight, bias, padding=settings["padding"]), 2)
        return y.bfloat16()

    monkeypatch.setattr(plan, "fused_conv", computed)
    monkeypatch.setattr(context, "level_for", lambda bfloat16: "amx" if bfloat16 else None)
    context._best_level.cache_clear()
    module = build("conv 4 3x3 | maxpool 2 | conv 4 3x3 | maxpool 2", (2, 13, 12))
    try:
        with torch.autocast("cpu", torch.bfloat16):
            module(IMAGES)
            with pytest.raises(RuntimeError, match="double"):
                module(IMAGES.double())
        module(IMAGES)
    finally:
        context._best_level.cache_clear()
    assert given == [(torch.float32, "amx"), (torch.bfloat16, "amx")]


# --- and who does not -------------------------------------------------------------------------------------------


def test_without_gradients_and_with_other_weights_blocks_run(ran: list[str]) -> None:
    module, other = simple(), whole(simple(), seed=5)
    with torch.inference_mode():
        assert torch.equal(module(IMAGES), stock(module))
    with torch.no_grad():
        assert torch.equal(module(IMAGES), stock(module))
    found = torch.func.functional_call(module, dict(other.named_parameters()), (IMAGES,))
    assert torch.equal(found, stock(other))
    assert ran == ["conv pool relu"] * 3


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputed_in_the_backward_pass_the_gradients_are_the_same(reentrant: bool, ran: list[str]) -> None:
    module = simple()
    parameters = list(module.parameters())
    found = results(lambda x: checkpoint(module, x, use_reentrant=False), parameters, IMAGES)
    assert len(ran) == 2
    check_same(found, results(one_by_one(module), parameters, IMAGES))


def test_no_image_at_all_gives_none(ran: list[str]) -> None:
    module = simple()
    found = results(module, list(module.parameters()), IMAGES[:0])
    assert ran == ["conv pool relu"]
    assert found[0].shape == (0, 4, 6, 6)
    assert all(not gradient.any() for gradient in found[1:])


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 9, 9), torch.zeros(2, 2, 1, 9), torch.zeros(2, 2)])
def test_images_that_do_not_fit_are_refused_as_by_pytorch(images: Tensor) -> None:
    module = whole(build("conv 4 3x3 | relu | maxpool 2", (2, 13, 12)))
    with pytest.raises(RuntimeError) as expected, using("off"):
        module(images)
    with pytest.raises(RuntimeError) as found:
        module(images)
    assert str(found.value) == str(expected.value)


def test_names_copies_and_weights_are_those_of_plain_layers() -> None:
    module = network()
    assert list(module.state_dict())[:4] == ["conv1.weight", "conv1.bias", "conv2.weight", "block1.conv1.weight"]
    assert torch.equal(copy.deepcopy(module).eval()(IMAGES), module.eval()(IMAGES))
