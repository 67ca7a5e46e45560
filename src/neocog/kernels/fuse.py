"""Fused blocks for any module: it stays what it is, and its forward pass hands chains of layers to the plan."""

from __future__ import annotations

import functools
from types import FunctionType
from typing import Any, Literal

from torch import Tensor, nn
from torch.jit import ScriptModule

from neocog.errors import ModelError
from neocog.kernels.context import current_level
from neocog.kernels.level import level_for
from neocog.kernels.plan import Block, InTurn, Usable, match, pays, plain, run
from neocog.kernels.rewrite import Rewritten, rewrite


def fuse(module: nn.Module, kernels: Literal["auto", "off"] = "auto") -> nn.Module:
    """Let a module compute convolution, relu and 2x2 max pooling in one pass on the CPU, and give it back.

    In training, batch norm and relu are another such pass.

    It is the same module: its parameters, names, hooks, type and results stay, and it can be trained, copied, saved
    and compiled as before. The layers may stand one after the other in `nn.Sequential`, or be called in a forward
    method: `F.max_pool2d(F.relu(self.conv1(x)), 2)`, on one line or on several. Where no block fits, or somebody looks
    at a layer through a hook, the layers run as they are. `kernels="off"` takes everything back. Networks in neocog's
    notation need no call of this: they are fused by themselves.

    Raises `ModelError` where it is given something else than a module.
    """
    if not isinstance(module, nn.Module):
        raise ModelError(f"fuse takes a torch.nn.Module; got {type(module).__name__}.")
    if kernels not in ("auto", "off"):
        raise ModelError(f'kernels = {kernels!r}: expected "auto" or "off".')
    for part in module.modules():
        if isinstance(part, InTurn):
            part.fused = kernels == "auto"
        elif isinstance(part.__dict__.get("forward"), FusedForward):
            del part.forward
        if kernels == "auto" and _is_open(part):
            forward = FusedForward(part)
            if any(_blocks(sequence, lambda layer: True) for sequence in forward.sequences()):
                part.forward = forward
    return module


def fused_layers(module: nn.Module) -> list[str]:
    """List the layers that run as one block, such as `block1.conv1 + relu1 + maxpool1`; empty where none do.

    That is what happens to images that a block takes, with the hooks that are there now; to batch norm, in training.
    """
    return [names for names, _ in fused_blocks(module)]


def fused_blocks(module: nn.Module) -> list[tuple[str, Block]]:
    """Give the blocks in a module, and how `fused_layers` calls them."""
    if not (level_for(bfloat16=False) or level_for(bfloat16=True)):
        return []
    found: list[tuple[str, Block]] = []
    for path, part in module.named_modules():
        forward = part.__dict__.get("forward")
        if isinstance(part, InTurn):
            sequences = [part.sequence()] if part.fused and forward is None else []
        else:
            sequences = forward.sequences() if isinstance(forward, FusedForward) else []
        for sequence in sequences:
            found += [(f"{path}.{names}" if path else names, block) for names, block in _blocks(sequence, plain)]
    return found


class FusedForward:
    """The forward of a fused module; it stands in the module in place of the one of its class.

    The class's own is called wherever no block could run, so that compilers, exporters and tracers see nothing else.
    """

    def __init__(self, module: nn.Module) -> None:
        forward = type(module).forward
        functools.update_wrapper(self, forward.__get__(module))
        # torch.export asks for it
        self.__code__ = forward.__code__
        self.module = module
        self._known: tuple[Any, Rewritten | None] | None = None

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Give what the module's forward gives."""
        if current_level() is None:
            return type(self.module).forward(self.module, *inputs, **named)
        if _is_sequential(self.module):
            return _run_all(self.module, *inputs, **named)
        rewritten = self._rewritten()
        forward = type(self.module).forward if rewritten is None else rewritten.function
        return forward(self.module, *inputs, **named)

    def sequences(self) -> list[list[tuple[str, Any]]]:
        """Give the layers that follow one another, with their names."""
        if _is_sequential(self.module):
            return [list(self.module._modules.items())]
        rewritten = self._rewritten()
        chains = [] if rewritten is None else rewritten.chains
        return [[(stage.name, stage.layer_of(self.module)) for stage in chain] for chain in chains]

    def __getstate__(self) -> dict[str, Any]:
        return {"module": self.module}

    def __setstate__(self, state: dict[str, Any]) -> None:
        FusedForward.__init__(self, state["module"])

    def _rewritten(self) -> Rewritten | None:
        forward = type(self.module).forward
        # A notebook may have replaced the method meanwhile.
        if self._known is None or self._known[0] is not forward:
            self._known = forward, rewrite(self.module)
        return self._known[1]


def _is_open(part: nn.Module) -> bool:
    """Whether a module has layers to fuse, and the forward of its class is what runs and may be replaced."""
    if isinstance(part, InTurn | ScriptModule) or "forward" in part.__dict__:
        return False
    own = isinstance(type(part).forward, FunctionType)
    return own and any(type(layer) in (nn.Conv2d, nn.BatchNorm2d) for layer in part.modules() if layer is not part)


def _is_sequential(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _run_all(module: nn.Module, input: Tensor) -> Tensor:
    return run(list(module._modules.values()), input)  # type: ignore[arg-type]  # those of a Sequential are never None


def _blocks(sequence: list[tuple[str, Any]], usable: Usable) -> list[tuple[str, Block]]:
    """Find the blocks in a sequence of layers, and name them by these."""
    layers, found, place = [layer for _, layer in sequence], list[tuple[str, Block]](), 0
    while place < len(layers):
        block = match(layers, place, usable)
        if block is not None and pays(block):
            found.append((" + ".join(name for name, _ in sequence[place : place + block.layers]), block))
            place += block.layers
        else:
            place += 1
    return found
