"""Where blocks may run: not where somebody looks at the single operations, nor where they are switched off."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from tests.kernels.exact import needs_blocks
from tests.kernels.networks import IMAGES, network, simple, stock
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from neocog.errors import RecipeError
from neocog.kernels.context import using

pytestmark = needs_blocks

# --- tracing and transforming -----------------------------------------------------------------------------------


def exported(module: nn.Module, strict: bool) -> Callable[[Tensor], Tensor]:
    return torch.export.export(module, (IMAGES,), strict=strict).module()


def ways() -> dict[str, Callable[[nn.Module], Tensor]]:
    """Ways to run a module on IMAGES that look at its single operations."""
    return {
        "export": lambda module: exported(module, strict=False)(IMAGES),
        "strict export": lambda module: exported(module, strict=True)(IMAGES),
        "compile": lambda module: torch.compile(module, backend="eager", fullgraph=True)(IMAGES),
        "jit trace": lambda module: torch.jit.trace(module, IMAGES, check_trace=False)(IMAGES),
        "fx": lambda module: torch.fx.symbolic_trace(module)(IMAGES),
        "make_fx": lambda module: make_fx(module)(IMAGES)(IMAGES),
        "vmap": lambda module: torch.vmap(lambda image: module(image[None])[0])(IMAGES),
        "func.grad": lambda module: torch.func.grad(lambda images: module(images).sum())(IMAGES),
        "jvp": lambda module: torch.func.jvp(module, (IMAGES,), (torch.ones_like(IMAGES),))[1],
    }


@pytest.mark.parametrize("way", ways())
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
def test_whoever_looks_at_the_single_operations_gets_pytorchs(way: str, ran: list[str]) -> None:
    module = network().eval()
    torch._dynamo.reset()
    found = ways()[way](module)
    assert not ran
    with using("off"):
        assert torch.equal(found, ways()[way](module))


def test_forward_mode_gradients_and_modes_are_of_pytorchs_layers(ran: list[str]) -> None:
    module = simple()
    with forward_ad.dual_level():
        output = module(forward_ad.make_dual(IMAGES, torch.ones_like(IMAGES)))
        assert forward_ad.unpack_dual(output).tangent is not None
    with FlopCounterMode(display=False) as counter:
        module(IMAGES)
    assert counter.get_total_flops() == 2 * 3 * 13 * 12 * 4 * 2 * 9
    with torch.device("meta"):
        module(IMAGES)
    assert not ran
    with torch.device("cpu"):
        module(IMAGES)
    assert ran == ["conv pool relu"]


def test_gradients_of_gradients_are_those_of_pytorch() -> None:
    module = network().eval()
    images = IMAGES.clone().requires_grad_()

    def penalty() -> list[Tensor]:
        (first,) = torch.autograd.grad(module(images).square().sum(), images, create_graph=True)
        return list(torch.autograd.grad(first.square().sum(), list(module.parameters()), allow_unused=True))

    found = penalty()
    with using("off"):
        expected = penalty()
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-4)


# --- switches ---------------------------------------------------------------------------------------------------


def test_using_holds_within_its_context_and_its_thread(ran: list[str]) -> None:
    module = simple()
    with using("off"):
        with using("auto"):
            module(IMAGES)
        assert not ran
        thread = threading.Thread(target=module, args=(IMAGES,))
        thread.start()
        thread.join()
        assert ran == ["conv pool relu"]
    with pytest.raises(ZeroDivisionError), using("off"):
        raise ZeroDivisionError
    module(IMAGES)
    assert len(ran) == 2


def test_a_level_is_used_where_the_number_format_is_its_own(ran: list[str]) -> None:
    module = simple()
    with using("amx"):
        assert torch.equal(module(IMAGES), stock(module))
    assert not ran
    with using("avx2"):
        assert torch.equal(module(IMAGES), stock(module))
    assert ran == ["conv pool relu"]


def test_the_environment_switches_off_everywhere(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = simple()
    monkeypatch.setenv("NEOCOG_KERNELS", "off")
    module(IMAGES)
    with using("avx2"):
        module(IMAGES)
    assert not ran
    monkeypatch.setenv("NEOCOG_KERNELS", "sse")
    with pytest.raises(RecipeError, match="NEOCOG_KERNELS=sse"):
        module(IMAGES)
    monkeypatch.delenv("NEOCOG_KERNELS")
    module(IMAGES)
    assert ran == ["conv pool relu"]
