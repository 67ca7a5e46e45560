"""A fused module is the module that it was, and computes its chains in blocks."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.kernels.exact import check_same, needs_blocks, results, whole, whole_images
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

import neocog
from neocog.errors import ModelError
from neocog.kernels import fused_layers
from neocog.kernels.context import using
from neocog.kernels.fuse import FusedForward
from neocog.models import build

pytestmark = needs_blocks

IMAGES = whole_images(3, 1, 12, 14)


class Course(nn.Module):
    """What courses write: functions around convolutions, dropout, and a view that wants (N, C, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 5, 3)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(5 * 2 * 2, 3)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = self.conv2(x)
        x = torch.relu(x)
        x = F.max_pool2d(x, kernel_size=(2, 2))
        x = F.dropout(self.dropout(x), training=self.training)
        x = x.view(x.size(0), -1)
        return scale * self.linear(x)


class Residual(nn.Module):
    """As in a ResNet, with relu working in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(1, 1, 5, padding=2, bias=False)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.conv1(x)
        out = self.relu(out)
        out = self.conv2(out)
        out += identity
        return self.pool(self.relu(out))


class Features(nn.Module):
    """A Sequential within a module that flattens by view."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(4 * 4 * 5, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.head(x.view(x.size(0), -1))


NETWORKS: dict[type[nn.Module], list[str]] = {
    Course: ["conv pool relu"] * 2,
    Residual: ["conv relu"],
    Features: ["conv relu", "conv pool relu"],
}
LISTED = {
    Course: ["conv1 + relu + maxpool", "conv2 + relu + maxpool"],
    Residual: ["conv1 + relu"],
    Features: ["features.0 + 1", "features.2 + 3 + 4"],
}
every_network = pytest.mark.parametrize("kind", NETWORKS)


def made(kind: type[nn.Module]) -> nn.Module:
    return whole(kind()).eval()


@every_network
def test_values_and_gradients_are_the_same(kind: type[nn.Module], ran: list[str]) -> None:
    module = made(kind)
    parameters = list(module.parameters())
    expected = results(module, parameters, IMAGES)
    assert neocog.fuse(module) is module
    assert not ran
    found = results(module, parameters, IMAGES)
    check_same(found, expected)
    assert found[0].is_contiguous() and expected[0].is_contiguous()
    assert ran == NETWORKS[kind]
    assert fused_layers(module) == LISTED[kind]


@every_network
def test_it_is_the_module_that_it_was(kind: type[nn.Module]) -> None:
    module, plain = made(kind), made(kind)
    neocog.fuse(module)
    assert type(module) is kind
    assert str(module) == str(plain)
    assert list(module.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in module.named_modules()] == [name for name, _ in plain.named_modules()]
    assert inspect.signature(module.forward) == inspect.signature(plain.forward)
    module.load_state_dict(plain.state_dict())


@every_network
def test_twice_is_once_and_off_takes_it_back(kind: type[nn.Module], ran: list[str]) -> None:
    module = made(kind)
    before = {name: set(part.__dict__) for name, part in module.named_modules()}
    neocog.fuse(neocog.fuse(module))
    module(IMAGES)
    assert ran == NETWORKS[kind]
    assert neocog.fuse(module, kernels="off") is module
    module(IMAGES)
    assert ran == NETWORKS[kind]
    assert fused_layers(module) == []
    assert {name: set(part.__dict__) for name, part in module.named_modules()} == before


def _saved(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    loaded: nn.Module = torch.load(file, weights_only=False)
    return loaded


@every_network
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), _saved])
def test_a_copy_is_fused_and_has_weights_of_its_own(
    kind: type[nn.Module], duplicate: Callable[[nn.Module], nn.Module], ran: list[str]
) -> None:
    module = neocog.fuse(made(kind))
    expected = module(IMAGES)
    other = duplicate(module)
    del ran[:]
    assert torch.equal(other(IMAGES), expected)
    assert ran == NETWORKS[kind]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.equal(other(IMAGES), expected)
    assert not torch.equal(module(IMAGES), expected)
    for part in other.modules():
        forward = part.__dict__.get("forward")
        assert forward is None or forward.module is part


def test_training_and_evaluation_are_told_apart_at_each_call() -> None:
    module = neocog.fuse(whole(Course()))
    plain = whole(Course())
    for mode in (True, False, True):
        module.train(mode), plain.train(mode)
        torch.manual_seed(0)
        found = module(IMAGES, scale=2.0)
        torch.manual_seed(0)
        assert torch.equal(found, plain(IMAGES, scale=2.0))
    module.eval(), plain.eval()
    module.get_submodule("dropout").train(), plain.get_submodule("dropout").train()
    torch.manual_seed(0)
    found = module(IMAGES)
    torch.manual_seed(0)
    assert torch.equal(found, plain(IMAGES))


def test_to_another_number_format_and_layout(ran: list[str]) -> None:
    module = neocog.fuse(made(Course))
    expected = module(IMAGES)
    assert torch.equal(module.double()(IMAGES.double()), expected.double())
    assert len(ran) == 2
    assert torch.equal(module.float()(IMAGES), expected)
    assert len(ran) == 4
    assert module.to("meta")(IMAGES.to("meta")).is_meta
    residual = neocog.fuse(made(Residual))
    stock = made(Residual)
    last: Any = {"memory_format": torch.channels_last}
    found, wanted = (part.to(**last)(IMAGES.to(**last)) for part in (residual, stock))
    assert torch.equal(found, wanted) and found.stride() == wanted.stride()


def test_hooks_registered_later_are_called_with_what_they_always_saw(ran: list[str]) -> None:
    module, plain = neocog.fuse(made(Course)), made(Course)

    def seen(network: nn.Module, name: str) -> Tensor:
        outputs: list[Tensor] = []
        handle = network.get_submodule(name).register_forward_hook(lambda part, given, output: outputs.append(output))
        network(IMAGES)
        handle.remove()
        return outputs[0]

    for name in ("", "conv1", "conv2", "linear"):
        assert torch.equal(seen(module, name), seen(plain, name))
    # None on the module itself and on the linear layer, one on each of the convolutions.
    assert len(ran) == 2 + 1 + 1 + 2
    handle = module.get_submodule("conv1").register_forward_hook(lambda *given: None)
    assert fused_layers(module) == ["conv2 + relu + maxpool"]
    handle.remove()
    assert fused_layers(module) == LISTED[Course]


def test_a_layer_that_is_replaced_or_added_counts(ran: list[str]) -> None:
    module = neocog.fuse(made(Course))
    module.conv1 = whole(nn.Conv2d(1, 4, 3, padding=1, stride=1, groups=1), seed=3)
    plain = copy.deepcopy(module)
    neocog.fuse(plain, kernels="off")
    assert torch.equal(module(IMAGES), plain(IMAGES))
    assert len(ran) == 2
    module.conv1 = plain.conv1 = whole(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Hardtanh()))
    assert torch.equal(module(IMAGES), plain(IMAGES))
    assert len(ran) == 3
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    neocog.fuse(layers)
    layers.append(nn.MaxPool2d(2))
    assert layers(IMAGES).shape == (3, 4, 5, 6)
    assert ran[3:] == ["conv pool relu"]


def ways(images: Tensor) -> dict[str, Callable[[nn.Module], Tensor]]:
    return {
        "export": lambda module: torch.export.export(module, (images,)).module()(images),
        "strict export": lambda module: torch.export.export(module, (images,), strict=True).module()(images),
        "compile": lambda module: torch.compile(module, backend="eager", fullgraph=True)(images),
        "jit trace": lambda module: torch.jit.trace(module, images, check_trace=False)(images),
        "fx": lambda module: torch.fx.symbolic_trace(module)(images),
        "make_fx": lambda module: make_fx(module)(images)(images),
        "vmap": lambda module: torch.vmap(lambda image: module(image[None])[0])(images),
        "func.grad": lambda module: torch.func.grad(lambda given: module(given).sum())(images),
    }


@every_network
@pytest.mark.parametrize("way", ways(IMAGES))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
def test_compilers_and_tracers_see_the_plain_module(kind: type[nn.Module], way: str, ran: list[str]) -> None:
    torch._dynamo.reset()
    found = ways(IMAGES)[way](neocog.fuse(made(kind)))
    assert not ran
    assert torch.equal(found, ways(IMAGES)[way](made(kind)))


def test_an_exported_fused_module_keeps_the_names_of_its_inputs() -> None:
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(neocog.fuse(made(Residual)), (IMAGES,), dynamic_shapes={"x": {0: batch}})
    assert program.module()(torch.cat([IMAGES, IMAGES])).shape == (6, 1, 6, 7)


def test_the_switches_of_the_plan_hold_for_fused_modules(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = neocog.fuse(made(Course))
    with using("off"):
        module(IMAGES)
    monkeypatch.setenv("NEOCOG_KERNELS", "off")
    module(IMAGES)
    assert fused_layers(module) == []
    assert not ran


def test_threads_may_share_a_fused_module() -> None:
    module = neocog.fuse(made(Course))
    expected, found = module(IMAGES), list[Tensor]()
    threads = [threading.Thread(target=lambda: found.append(module(IMAGES))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(one, expected) for one in found)


def test_networks_in_the_notation_are_fused_by_themselves_and_can_be_switched_off(ran: list[str]) -> None:
    network = build("conv 4 3x3 | relu | 2 * (conv 4 3x3 same | maxpool 2 | relu) | flatten | linear 3", (1, 12, 14))
    assert fused_layers(network) == ["conv1 + relu1", "block1.conv1 + pool1 + relu1", "block2.conv1 + pool1 + relu1"]
    within = nn.Sequential(nn.Identity(), network)
    assert len(fused_layers(neocog.fuse(within))) == 3
    within(IMAGES)
    assert len(ran) == 3
    neocog.fuse(within, kernels="off")
    assert fused_layers(within) == []
    within(IMAGES)
    neocog.fuse(within)
    within(IMAGES)
    assert len(ran) == 6


class Normed(nn.Module):
    """As in a ResNet: a batch norm behind each convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.norm(x)
        x = self.relu(x)
        return x


def test_batch_norm_in_a_forward_is_a_block_in_training(ran: list[str]) -> None:
    last: Any = {"memory_format": torch.channels_last}
    module, plain = neocog.fuse(whole(Normed()).to(**last)), whole(Normed()).to(**last)
    for mode in (True, False):
        torch.testing.assert_close(module.train(mode)(IMAGES), plain.train(mode)(IMAGES))
    assert ran == ["norm relu"]
    assert fused_layers(module) == ["norm + relu"]


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
        self.conv = nn.Conv2d(2, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.conv(x)
        return F.relu(y) if y.sum() > 0 else y


def test_where_nothing_fits_in_a_forward_it_stays_and_what_is_within_is_fused(ran: list[str]) -> None:
    module, plain = neocog.fuse(made(Branching)), made(Branching)
    assert torch.equal(module(IMAGES), plain(IMAGES))
    assert ran == ["conv relu"]
    assert "forward" not in module.__dict__


def test_a_forward_of_the_users_own_on_the_module_stays() -> None:
    module = made(Course)
    module.forward = lambda x: x + 1  # type: ignore[method-assign]
    neocog.fuse(module)
    assert torch.equal(module(IMAGES), IMAGES + 1)
    neocog.fuse(module, kernels="off")
    assert torch.equal(module(IMAGES), IMAGES + 1)


def test_modules_without_anything_to_fuse_are_not_touched() -> None:
    module = nn.ModuleList(
        [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())]
    )
    neocog.fuse(module)
    assert not any(isinstance(part.__dict__.get("forward"), FusedForward) for part in module.modules())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_scripted_module_is_left_alone() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    module = nn.Sequential(scripted, nn.Flatten())
    expected = module(IMAGES)
    assert torch.equal(neocog.fuse(module)(IMAGES), expected)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ModelError, match=r"takes a torch\.nn\.Module; got str"):
        neocog.fuse("resnet18")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match='kernels = \'avx512\': expected "auto" or "off"'):
        neocog.fuse(nn.ReLU(), kernels="avx512")  # type: ignore[arg-type]
