"""One output value of any layer, worked out again from what the layer took in, and compared with what it gave."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import index

import torch
from torch import Tensor, nn

from neocog.errors import ModelError
from neocog.explain import pointwise, windows
from neocog.explain.blocks import block, unknown
from neocog.explain.finding import Finding, Place
from neocog.explain.forward import Call, Forward, record
from neocog.models.efficientnet import CeilConv2d
from neocog.models.lenet import EuclideanRBF, Subsample, TableConv2d
from neocog.models.network import FlattenView, GlobalAverage, SameConv2d, TrailingSoftmax
from neocog.models.trace import module_text
from neocog.notation import shape_text
from neocog.steps_text import numbers_text, step_text
from neocog.textbook.step import Step

_Handler = Callable[[Call, Place], Finding | None]

_WINDOWS: dict[type[nn.Module], _Handler] = {
    nn.Conv1d: windows.conv,
    nn.Conv2d: windows.conv,
    SameConv2d: windows.conv,
    CeilConv2d: windows.conv,
    TableConv2d: windows.table_conv,
    nn.Linear: windows.linear,
    EuclideanRBF: windows.rbf,
    Subsample: windows.subsample,
    nn.MaxPool1d: windows.max_pool,
    nn.MaxPool2d: windows.max_pool,
    nn.AvgPool1d: windows.average_pool,
    nn.AvgPool2d: windows.average_pool,
    nn.AdaptiveAvgPool1d: windows.adaptive_pool,
    nn.AdaptiveAvgPool2d: windows.adaptive_pool,
    nn.AdaptiveMaxPool1d: windows.adaptive_pool,
    nn.AdaptiveMaxPool2d: windows.adaptive_pool,
    GlobalAverage: windows.global_average,
}
# Layers whose value follows from the one value at the same place before them.
_POINTWISE: dict[type[nn.Module], _Handler] = {
    nn.BatchNorm1d: pointwise.batch_norm,
    nn.BatchNorm2d: pointwise.batch_norm,
    nn.PReLU: pointwise.prelu,
    nn.Dropout: pointwise.same,
    nn.Dropout1d: pointwise.same,
    nn.Dropout2d: pointwise.same,
    nn.AlphaDropout: pointwise.same,
    nn.Identity: pointwise.same,
    TrailingSoftmax: pointwise.same,
    **dict.fromkeys(pointwise.ACTIVATIONS, pointwise.activation),
}
_OTHERS: dict[type[nn.Module], _Handler] = {
    nn.GroupNorm: pointwise.group_norm,
    nn.LayerNorm: pointwise.layer_norm,
    nn.Softmax: pointwise.softmax,
    nn.LogSoftmax: pointwise.softmax,
    nn.Flatten: pointwise.flatten,
    FlattenView: pointwise.flatten,
}
_HANDLERS = {**_WINDOWS, **_POINTWISE, **_OTHERS}


@dataclass(frozen=True, eq=False)
class PixelArithmetic:
    """How one output value of one layer comes about, with the network's own numbers.

    Attributes:
        layer: the name of the layer.
        module: the layer as PyTorch prints it.
        place: where the value stands in the layer's output, (channel, row, column) or (unit,).
        value: the value, worked out here in float64 from what the layer took in.
        output: what the network's layer gave there.
        bound: how far the two may lie apart by rounding: the output's machine epsilon, times the sum of the sizes of
            all that was added up, times 4 + the square root of their number.
        checked: False for a module whose arithmetic is not written out here; `value` is its output then.
        step: the window, the kernel and the products, where the layer has a window; else None.
        size: height and width of the input that the window moves over.
        lines: the arithmetic in words and numbers, as far as the step does not show it.
    """

    layer: str
    module: str
    place: Place
    value: float
    output: float
    bound: float
    checked: bool
    step: Step | None
    size: Place
    lines: tuple[str, ...]

    @property
    def difference(self) -> float:
        """How far the value lies from the network's, at least 0."""
        return 0.0 if self.value == self.output else abs(self.value - self.output)

    @property
    def agrees(self) -> bool:
        """Whether the network's value is this one, up to rounding."""
        return self.difference <= self.bound or (math.isnan(self.value) and math.isnan(self.output))

    def text(self, *, digits: int = 2, width: int = 110) -> str:
        """Write the arithmetic out as plain lines, ending with what the network says."""
        # A linear layer's window is its whole input, too long to be drawn.
        windowed = self.step is not None and (len(self.place) == len(self.size) + 1 or self.step.kind != "sum")
        head = self.layer if windowed else f"{self.layer}, {place_text(self.place)}"
        lines = [f"{head}: {self.module}", *(f"  {line}" for line in self.lines)]
        if self.step is not None and windowed:
            lines.append("  " + step_text(self.step, digits=digits, size=self.size, width=width))
        elif self.step is not None:
            total, bias, value = numbers_text([self.step.products.sum(), self.step.bias, self.step.value], digits + 2)
            lines.append(f"  sum {total}" + (f", plus bias {bias} = {value}" if self.step.bias else ""))
        return "\n".join([*lines, f"  {self.verdict()}"])

    def verdict(self) -> str:
        """Say whether the network gave the same."""
        says = f"the network says {self.output:.7g}"
        if not self.checked:
            return f"{says}: not worked out here"
        if self.agrees:
            return f"{says}: equal" + (f" (difference {self.difference:.1g}, rounding)" if self.difference else "")
        return (
            f"{says}: NOT equal. This arithmetic gives {self.value:.7g}; the difference {self.difference:.3g} is more "
            f"than rounding explains ({self.bound:.1g}). The layer does something that is not written out here."
        )


def explain_pixel(model: nn.Module, image: Tensor, layer: str, place: Place) -> PixelArithmetic:
    """Explain one output value of one layer.

    Args:
        model: any module.
        image: what the model takes, one image (C, H, W) or (1, C, H, W).
        layer: the name of the layer, such as `conv2`; `:2` behind it means its second call.
        place: the place in the layer's output, (channel, row, column) or (unit,).

    Raises:
        ModelError: no such layer, or a place outside of its output; a model that cannot take the image.
    """
    return arithmetic(record(model, image).find(layer), place)


def arithmetic(call: Call, place: Place) -> PixelArithmetic:
    """Explain one output value of a recorded call; see `explain_pixel`."""
    place = check_place(call, place)
    assert call.output is not None
    handler = _handler(call.module)
    with torch.no_grad():
        found = handler(call, place) if handler is not None and call.inputs else None
        found = found or (block(call, place) if call.children else unknown(call, place))
    epsilon = torch.finfo(call.output.dtype).eps if call.output.is_floating_point() else 0.0
    return PixelArithmetic(
        layer=call.name,
        module=module_text(call.module),
        place=place,
        value=found.value,
        output=float(call.output[0][place]),
        bound=epsilon * found.scale * (4 + math.sqrt(found.terms)),
        checked=found.checked,
        step=found.step,
        size=found.size,
        lines=found.lines,
    )


def chain(forward: Forward, call: Call, place: Place) -> tuple[PixelArithmetic, ...]:
    """Explain a value together with the layers around it that look at this value alone.

    Such as convolution, batch norm and relu: from the layer with a window that the value comes from, to the last
    activation before something else happens.
    """
    layers = forward.layers()
    if call not in layers:
        return (arithmetic(call, place),)
    at = layers.index(call)
    first = at
    while first > 0 and is_pointwise(layers[first].module) and _feeds(layers[first - 1], layers[first]):
        first -= 1
    last = at
    while last + 1 < len(layers) and is_pointwise(layers[last + 1].module) and _feeds(layers[last], layers[last + 1]):
        last += 1
    return tuple(arithmetic(layer, place) for layer in layers[first : last + 1])


def check_place(call: Call, place: Place) -> Place:
    """Give the place as plain integers; raises `ModelError` where the call's output has no such place."""
    shape, place = call.shape, whole_numbers(place)
    if call.output is None:
        raise ModelError(f"{call.name} gives no tensor, so there is no value to explain.")
    if len(place) != len(shape):
        raise ModelError(
            f"{call.name} gives {shape_words(shape)}: a place in it has {len(shape)} numbers, not {place}."
        )
    for at, size in zip(place, shape, strict=True):
        if not 0 <= at < size:
            raise ModelError(f"{call.name} gives {shape_words(shape)}: {place_text(place)} lies outside of it.")
    return place


def whole_numbers(place: object) -> Place:
    """Give the numbers of a place, one or several, of Python or of an array, as plain integers.

    Raises `ModelError` for what is no whole number.
    """
    try:
        return (index(place),)  # type: ignore[arg-type]  # what is none raises
    except TypeError:
        pass
    try:
        return tuple(map(index, place))  # type: ignore[call-overload]  # what is none raises
    except TypeError:
        raise ModelError(f"a place is one or several whole numbers, not {place!r}.") from None


def place_text(place: Place) -> str:
    """Write a place in words."""
    if len(place) == 3:
        return f"channel {place[0]}, row {place[1]}, column {place[2]}"
    return f"unit {place[0]}" if len(place) == 1 else f"place {', '.join(map(str, place))}"


def shape_words(shape: Place) -> str:
    """Write the shape of an output with the ranges of its places."""
    if len(shape) == 3:
        channels, height, width = shape
        return (
            f"{channels}x{height}x{width} (channels 0 to {channels - 1}, rows 0 to {height - 1}, "
            f"columns 0 to {width - 1})"
        )
    if len(shape) == 1:
        return f"{shape[0]:,} values (0 to {shape[0] - 1})"
    return shape_text(shape)


def _handler(module: nn.Module) -> _Handler | None:
    """Give the arithmetic of a module; None where its class has a forward that is not the one known here."""
    if "forward" in module.__dict__:
        return None
    kind = next((kind for kind in type(module).__mro__ if kind in _HANDLERS), None)
    return _HANDLERS[kind] if kind is not None and type(module).forward is kind.forward else None


def is_pointwise(module: nn.Module) -> bool:
    """Whether each value of the module's output follows from the one value at the same place before it."""
    return _handler(module) in _POINTWISE.values()


def _feeds(before: Call, after: Call) -> bool:
    """Whether the one call took in just what the other gave."""
    if before.output is None or not after.inputs or before.output.shape != after.inputs[0].shape:
        return False
    return after.shape == before.shape and torch.equal(before.output, after.inputs[0])
