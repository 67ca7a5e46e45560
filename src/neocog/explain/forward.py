"""One forward pass of one image, call by call: what went into each module, and what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neocog.errors import DataError, ModelError, NeocogError
from neocog.explain.layers import device_of, plain_network, undisturbed, unknown_layer
from neocog.models.trace import first_tensor, is_layer
from neocog.notation import shape_text


@dataclass(eq=False)
class Call:
    """One call of one module, with copies of what went in and came out: no later layer writes into them.

    Attributes:
        name: the name of the module within the network; a second call of the same module has `:2` behind it. Empty
            for the network itself.
        module: the module.
        inputs: the tensors among its arguments, with the batch of one in front.
        output: the tensor that it gave (the first of several), with the batch of one in front; None where it gave none.
        children: the calls made within this one, in their order.
        time: 1 for the first call of the module, 2 for the second.
        alone: whether the output is all that it gave, not the first tensor of several.
    """

    name: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    output: Tensor | None
    children: tuple[Call, ...] = ()
    time: int = 1
    alone: bool = True

    @property
    def module_name(self) -> str:
        """The name of the module within the network, whichever call of it this is."""
        return self.name.removesuffix(f":{self.time}") if self.time > 1 else self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output without the batch; empty where there is none."""
        return () if self.output is None else tuple(self.output.shape[1:])


@dataclass(frozen=True, eq=False)
class Forward:
    """A forward pass: the call of the whole network, and the image (1, C, H, W) that the model was given."""

    image: Tensor
    network: Call

    @property
    def logits(self) -> Tensor | None:
        """What the network gave, (1, K)."""
        return self.network.output

    def calls(self) -> Iterator[Call]:
        """Give all calls below the network itself in the order in which they ended: a block after its parts."""
        yield from _below(self.network)

    def layers(self) -> list[Call]:
        """Give the calls that did the work, in their order: of modules without parts, or with weights of their own."""
        return [call for call in self.calls() if is_layer(call.module)]

    def find(self, name: str) -> Call:
        """Give the call of this name; raises `ModelError` naming those that there were."""
        calls = {call.name: call for call in self.calls()}
        if name in calls:
            return calls[name]
        layers = [call.name for call in self.layers()]
        if name and name in dict(self.network.module.named_modules()):
            raise ModelError(f"{name} was not called in the forward pass. There were {', '.join(layers)}.")
        raise ModelError(unknown_layer(name, layers))


def record(model: nn.Module, image: Tensor) -> Forward:
    """Run `image`, what the model takes, (C, H, W) or (1, C, H, W), once through `model` and keep every call.

    Runs in evaluation mode, without gradients and without fused blocks, and leaves the model as it was. Raises
    `DataError` where the image has another shape, `ModelError` where the model cannot take it.
    """
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim != 4 or len(batch) != 1:
        raise DataError(f"expected one image (C, H, W); got the shape {tuple(image.shape)}.")
    network = plain_network(model)
    stack_of_calls = [Call("", network, (), None)]
    finished: list[Call] = []
    times = Counter[str]()

    def begin(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, named: Any) -> None:
            times[name] += 1
            given = [*inputs, *named.values()]
            tensors = tuple(value.detach().clone() for value in given if isinstance(value, Tensor))
            stack_of_calls.append(Call(_numbered(name, times[name]), module, tensors, None, time=times[name]))

        return hook

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        call = stack_of_calls.pop()
        given = first_tensor(output)
        call.output, call.alone = None if given is None else given.detach().clone(), given is output
        stack_of_calls[-1].children += (call,)
        finished.append(call)

    with ExitStack() as stack:
        for name, module in network.named_modules():
            before = module.register_forward_pre_hook(begin(name), with_kwargs=True)
            stack.callback(before.remove)
            stack.callback(module.register_forward_hook(end).remove)
        stack.enter_context(undisturbed(model))
        stack.enter_context(torch.no_grad())
        given = batch.detach().to(device_of(model)).clone()
        run(model, given if given.is_floating_point() else given.float())
    if not finished:
        raise ModelError(f"{type(network).__name__} was not called by {type(model).__name__}.")
    return Forward(batch, finished[-1])


def run(model: nn.Module, batch: Tensor) -> Any:
    """Give what the model makes of a batch (N, C, H, W); raises `ModelError` where it cannot take it."""
    try:
        return model(batch)
    except NeocogError:
        raise
    except Exception as error:
        shape = shape_text(batch.shape[1:])
        raise ModelError(
            f"{type(model).__name__} cannot take an image of {shape}: {error}. "
            "Give one of the size that it was made for."
        ) from error


def _below(call: Call) -> Iterator[Call]:
    for child in call.children:
        yield from _below(child)
        yield child


def _numbered(name: str, time: int) -> str:
    return name if time == 1 else f"{name}:{time}"
