"""A relu before a max pool is applied after it: nothing but the time it takes may change."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neocog.kernels.plan import run
from neocog.models import build

TEXT = "conv 4 3x3 same | relu | maxpool 2 | conv 5 3x3 | relu | maxpool 3 stride 2 pad 1 | flatten | linear 3"


def in_written_order(network: nn.Module, x: Tensor) -> Tensor:
    for layer in network.children():
        x = layer(x)
    return x


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(8, 15))
def test_values_and_gradients_are_those_of_the_written_order(seed: int, size: int) -> None:
    torch.manual_seed(seed)
    network = build(TEXT, (2, size, size), 3, seed=seed).double()
    images = torch.randn(3, 2, size, size, dtype=torch.float64, requires_grad=True)
    again = images.detach().clone().requires_grad_()
    weights = torch.randn(3, 3, dtype=torch.float64)
    found, expected = network(images), in_written_order(network, again)
    assert torch.equal(found, expected)
    ours = torch.autograd.grad((found * weights).sum(), [images, *network.parameters()])
    theirs = torch.autograd.grad((expected * weights).sum(), [again, *network.parameters()])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_nan_and_infinity_pass_through() -> None:
    layers = [nn.ReLU(), nn.MaxPool2d(2)]
    image = torch.tensor([[[[float("nan"), 1.0], [2.0, -1.0]], [[float("inf"), 0.0], [-float("inf"), -3.0]]]])
    expected = layers[1](layers[0](image))
    assert torch.equal(torch.nan_to_num(run(layers, image), nan=-7), torch.nan_to_num(expected, nan=-7))


def test_a_layer_with_a_hook_sees_what_it_sees_in_the_written_order() -> None:
    network = build(TEXT, (1, 12, 12), 3, seed=0)
    image = torch.randn(1, 1, 12, 12)
    seen: list[Tensor] = []
    relu = network.get_submodule("relu1")
    handle = relu.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(image)
    handle.remove()
    torch.testing.assert_close(seen[0], torch.relu(network.get_submodule("conv1")(image)))
    network(image)
    assert len(seen) == 1
