"""The summary of a network: what each layer gives, holds and costs. The notation needs no torch here."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neocog.errors import ModelError
from neocog.models import catalogue
from neocog.models.reference import resolve
from neocog.notation import LayerShape, Network, SumShape, View, check_shape, field_text, parse, shape_text
from neocog.notation.hints import near
from neocog.notation.why import why_and_note

if TYPE_CHECKING:
    from torch import nn

    from neocog.models.trace import TracedLayer

_FLOAT_BYTES = 4
_MEGABYTE = 2**20
_WIDEST_NOTATION = 48
_MOST_NAMES = 40


@dataclass(frozen=True)
class Row:
    """One layer of a network, for one image.

    `output_shape` is (C, H, W) or (F,), None for a layer that the forward pass did not call. `parameters` and
    `trainable` are counts of numbers, `macs` of multiply-accumulates (convolutions and linear layers).
    `receptive_field` is the height and width, in pixels of the input, that one output value sees, and `view` says
    where they lie for each; both None where that is not known. `activation_bytes` is the memory of the output,
    `parameter_bytes` that of the parameters. `note` says what is worth knowing, such as a remainder that a stride
    leaves out.
    """

    name: str
    notation: str
    output_shape: tuple[int, ...] | None
    parameters: int
    trainable: int
    macs: int
    receptive_field: tuple[int, int] | None
    activation_bytes: int
    parameter_bytes: int
    note: str | None = None
    view: View | None = None


@dataclass(frozen=True)
class Summary:
    """A network layer by layer, with totals. `str()` gives it as a plain text table."""

    title: str
    input_shape: tuple[int, int, int]
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters, trainable and not."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """Number of parameters that training changes."""
        return sum(row.trainable for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        return sum(row.macs for row in self.rows)

    @property
    def input_mb(self) -> float:
        """Memory of one input image as float32, in MB of 2**20 bytes."""
        return math.prod(self.input_shape) * _FLOAT_BYTES / _MEGABYTE

    @property
    def activations_mb(self) -> float:
        """Memory of every layer's output and of its gradient, for one image, in MB of 2**20 bytes."""
        return 2 * sum(row.activation_bytes for row in self.rows) / _MEGABYTE

    @property
    def parameters_mb(self) -> float:
        """Memory of the parameters, in MB of 2**20 bytes."""
        return sum(row.parameter_bytes for row in self.rows) / _MEGABYTE

    @property
    def total_mb(self) -> float:
        """Memory of input, activations with gradients, and parameters, in MB of 2**20 bytes."""
        return self.input_mb + self.activations_mb + self.parameters_mb

    def __str__(self) -> str:
        return "\n".join([f"{self.title} on {shape_text(self.input_shape)}", "", *_table(self), "", *_footer(self)])


def summarize(
    model: str | Network | nn.Module | Callable[..., nn.Module],
    input_shape: Sequence[int],
    num_classes: int | None = None,
) -> Summary:
    """Summarise a network for one image of `input_shape` (C, H, W).

    `model` is what `neocog.models.build` takes: a name, a network in the notation (text or parsed), a Python
    path such as `mypackage.nets:build`, a function that gives a module, or a module. `num_classes` is needed
    where the text says `linear classes`; a named network has its usual number without it. A network in the
    notation is computed without being built. A module runs once, on zeros and in evaluation mode, and is left as it
    was; the receptive fields are those of a network in the notation, of a chain of layers that the notation has words
    for, or of a named network, and blank for any other.

    Raises:
        ModelError: no such network, or a module that cannot take such an image.
        NotationError: a network that cannot be read or does not fit; a shape that is not (C, H, W).
    """
    shape = check_shape(input_shape)
    written = _written(model, shape, num_classes)
    if written is not None:
        title, parts = written
        return Summary(title, shape, tuple(_notation_row(part) for part in parts if isinstance(part, LayerShape)))
    module = _built(model, shape, num_classes)
    title = model.strip() if isinstance(model, str) else type(module).__name__
    return _of_module(title, module, shape)


def explain_layer(
    model: str | Network | nn.Module | Callable[..., nn.Module],
    input_shape: Sequence[int],
    num_classes: int | None,
    layer: str,
) -> str:
    """Write out how the numbers of a layer come about: its output, parameters, MACs and receptive field.

    `model`, `input_shape` and `num_classes` are those of `summarize`. `layer` is the name of a layer; that of a block
    stands for all layers inside and the sum of a residual block, and "all" for all there are. Receptive fields are
    there where `summarize` has them.

    Raises:
        ModelError: no such layer; or as `summarize`.
        NotationError: as `summarize`.
    """
    shape = check_shape(input_shape)
    written = _written(model, shape, num_classes)
    if written is not None:
        texts = [(part.name, why_and_note(part)) for part in written[1]]
    else:
        from neocog.models.why import module_layers

        texts = module_layers(_built(model, shape, num_classes), shape)
    chosen = [text for name, text in texts if layer in ("all", name) or name.startswith(f"{layer}.")]
    if not chosen:
        names = list(dict.fromkeys(name for name, _ in texts))
        raise _no_such_layer(layer, [name for name in names if not _is_block(name, names)])
    return "\n\n".join(chosen)


def _is_block(name: str, names: list[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in names)


def _no_such_layer(layer: str, names: list[str]) -> ModelError:
    inside = Counter(name.partition(".")[0] for name in names)
    blocks = {name.partition(".")[0] for name in names if "." in name}
    hint = near(layer, [*names, *blocks])
    if len(names) > _MOST_NAMES:
        names = [f"{name} ({inside[name]} layers)" if name in blocks else name for name in inside]
    return ModelError(f"the network has no layer {layer!r}{hint}\nIts layers are {', '.join(names)}.")


def _written(
    model: str | Network | nn.Module | Callable[..., nn.Module], shape: tuple[int, int, int], num_classes: int | None
) -> tuple[str, list[LayerShape | SumShape]] | None:
    """The title and the parts of a network that is given in the notation; None for any other."""
    meant = resolve(model) if isinstance(model, str) else model
    if isinstance(meant, catalogue.Entry) and meant.notation is not None and meant.cut is None:
        classes = meant.num_classes if num_classes is None else num_classes
        return meant.name, parse(meant.notation).parts(shape, classes)
    return ("network", meant.parts(shape, num_classes)) if isinstance(meant, Network) else None


def _notation_row(layer: LayerShape) -> Row:
    return Row(
        name=layer.name,
        notation=layer.text,
        output_shape=layer.output_shape,
        parameters=layer.parameters,
        trainable=layer.parameters,
        macs=layer.macs,
        receptive_field=layer.receptive_field,
        activation_bytes=math.prod(layer.output_shape) * _FLOAT_BYTES,
        parameter_bytes=layer.parameters * _FLOAT_BYTES,
        note=layer.note,
        view=layer.view_out,
    )


def _built(
    model: str | Network | nn.Module | Callable[..., nn.Module], shape: tuple[int, int, int], num_classes: int | None
) -> nn.Module:
    import torch

    from neocog.models.builder import build

    # A named network needs no memory for weights that nobody looks at.
    named = isinstance(model, str) and model.strip() in catalogue.names()
    with torch.device("meta") if named else contextlib.nullcontext():
        return build(model, shape, num_classes)


def _of_module(title: str, model: nn.Module, shape: tuple[int, int, int]) -> Summary:
    from neocog.models.network import NotationNetwork
    from neocog.models.trace import trace
    from neocog.models.views import located

    traced = trace(model, shape)
    if isinstance(model, NotationNetwork):
        written = {layer.name: layer for layer in parse(model.notation).shapes(shape, model.num_classes)}
        return Summary("network", shape, tuple(_annotated(call, written.get(call.name)) for call in traced))
    calls = [item for item in located(model, shape, traced) if not isinstance(item, SumShape)]
    return Summary(title, shape, tuple(_traced_row(call, look.view_out if look else None) for call, look in calls))


def _annotated(call: TracedLayer, layer: LayerShape | None) -> Row:
    row = _traced_row(call)
    if layer is None or not call.is_still(layer):
        return row
    return replace(
        row, notation=layer.text, receptive_field=layer.receptive_field, note=layer.note, view=layer.view_out
    )


def _traced_row(layer: TracedLayer, view: View | None = None) -> Row:
    return Row(
        name=layer.name,
        notation=layer.text,
        output_shape=layer.output_shape,
        parameters=layer.parameters,
        trainable=layer.trainable,
        macs=layer.macs,
        receptive_field=None if view is None else view.field,
        activation_bytes=layer.activation_bytes,
        parameter_bytes=layer.parameter_bytes,
        note=None if layer.called else f"note: {layer.name} holds parameters but was not called as a layer",
        view=view,
    )


_HEADS = ("layer", "network", "output", "parameters", "MACs", "receptive field", "activations")
_FIELD = _HEADS.index("receptive field")
_TO_THE_RIGHT = (False, False, False, True, True, False, True)


def _table(summary: Summary) -> list[str]:
    cells = [_HEADS, *map(_cells, summary.rows)]
    activations = sum(row.activation_bytes for row in summary.rows)
    total = ("total", "", "", f"{summary.parameters:,}", f"{summary.macs:,}", "", _memory(activations))
    widths = [max(map(len, column)) for column in zip(*cells, total, strict=True)]
    if not any(row.view for row in summary.rows):
        widths[_FIELD] = 0
    rule = "-" * (sum(widths) + 2 * (sum(map(bool, widths)) - 1))
    lines = [_line(line, widths) for line in cells]
    return [lines[0], rule, *lines[1:], rule, _line(total, widths)]


def _cells(row: Row) -> tuple[str, ...]:
    text = row.notation
    return (
        row.name,
        text if len(text) <= _WIDEST_NOTATION else text[: _WIDEST_NOTATION - 1] + "…",
        "" if row.output_shape is None else shape_text(row.output_shape),
        f"{row.parameters:,}",
        f"{row.macs:,}",
        "" if row.view is None else field_text(row.view),
        _memory(row.activation_bytes),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, _TO_THE_RIGHT, strict=True)
        if width
    )
    return "  ".join(parts).rstrip()


def _footer(summary: Summary) -> list[str]:
    notes = dict.fromkeys(row.note for row in summary.rows if row.note)
    return [
        *notes,
        *([""] if notes else []),
        f"parameters: {summary.parameters:,}, of which {summary.trainable:,} trainable "
        f"and {summary.parameters - summary.trainable:,} frozen",
        f"memory of one image in MB: {summary.input_mb:.2f} input, "
        f"{summary.activations_mb:.2f} forward and backward pass, "
        f"{summary.parameters_mb:.2f} parameters, {summary.total_mb:.2f} in all",
    ]


def _memory(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KB" if size < _MEGABYTE else f"{size / _MEGABYTE:.1f} MB"
