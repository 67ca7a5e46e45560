"""Which pixels of the image a unit of any layer sees: its receptive field."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neocog.explain.finding import Place
from neocog.explain.forward import Call, Forward, record
from neocog.explain.layers import device_of, undisturbed
from neocog.explain.pixel import check_place
from neocog.explain.written import written_layers
from neocog.models.trace import first_tensor


@dataclass(frozen=True)
class Field:
    """The pixels of the image that reach a unit: `rows` and `columns`, (first, last), both included.

    Where the notation gave them (`padded`) they can lie in the padding, outside of the image; otherwise they were
    found by trying, and are those of the image itself. `image` is its height and width.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    image: tuple[int, int]
    padded: bool

    @property
    def inside(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The rows and columns that lie in the image."""
        (top, bottom), (left, right) = self.rows, self.columns
        height, width = self.image
        return (max(top, 0), min(bottom, height - 1)), (max(left, 0), min(right, width - 1))

    @property
    def touches_image(self) -> bool:
        """Whether it has a pixel of the image, and not padding alone."""
        return all(first <= last for first, last in self.inside)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, padding counted in where it is known."""
        return self.rows[1] - self.rows[0] + 1, self.columns[1] - self.columns[0] + 1

    def __str__(self) -> str:
        height, width = self.size
        text = f"rows {self.rows[0]} to {self.rows[1]} and columns {self.columns[0]} to {self.columns[1]}"
        text += f" of the {self.image[0]}x{self.image[1]} image ({height}x{width})"
        if self.inside == ((0, self.image[0] - 1), (0, self.image[1] - 1)):
            text += ", all of it"
        elif self.inside != (self.rows, self.columns):
            (top, bottom), (left, right) = self.inside
            text += f"; what lies outside of rows {top} to {bottom} and columns {left} to {right} is padding"
        return text


def receptive_field(model: nn.Module, image: Tensor, layer: str, place: Place) -> Field | None:
    """Find the pixels of the image that reach one output value of a layer.

    For a network in the notation they are computed. For any other module they are found by trying: NaN spreads to
    everything that is computed from it, so a unit is reached by the upper rows of an image exactly where NaN in those
    rows makes it NaN; bisection finds the first and the last such row and column.

    Args:
        model: any module.
        image: what the model takes, one image (C, H, W) or (1, C, H, W); only its shape and type matter, and for a
            module whose ways depend on what it sees, its values.
        layer: the name of the layer, such as `conv2`.
        place: the place in the layer's output, (channel, row, column) or (unit,).

    Returns:
        The field; None where no pixel reaches the value, or NaN does not show it.

    Raises:
        ModelError: no such layer, or a place outside of its output; a model that cannot take the image.
    """
    forward = record(model, image)
    return field_of(model, forward, forward.find(layer), place)


def field_of(model: nn.Module, forward: Forward, call: Call, place: Place) -> Field | None:
    """Find the receptive field of a value of a recorded call; see `receptive_field`."""
    place = check_place(call, place)
    found = _by_notation(forward, call, place) or _by_trying(model, forward, call, place)
    # A window may see nothing but padding.
    return found if found is not None and found.touches_image else None


def _by_notation(forward: Forward, call: Call, place: Place) -> Field | None:
    written = written_layers(forward).get(call.name)
    if written is None:
        return None
    rows, columns = written.sees(*(place[1:] if len(place) == 3 else place))
    height, width = forward.image.shape[2:]
    return Field(rows, columns, (height, width), True)


def _by_trying(model: nn.Module, forward: Forward, call: Call, place: Place) -> Field | None:
    height, width = forward.image.shape[2:]
    reached = _probe(model, forward, call, place)
    first, last = [0, 0, 0, 0], [height - 1, height - 1, width - 1, width - 1]
    # Four searches at once: how many lines from above, below, left and right it takes to reach the unit, less one.
    if not all(reached(last)):
        return None
    while any(low < high for low, high in zip(first, last, strict=True)):
        middle = [(low + high) // 2 for low, high in zip(first, last, strict=True)]
        for side, found in enumerate(reached(middle)):
            if found:
                last[side] = middle[side]
            else:
                first[side] = min(middle[side] + 1, last[side])
    above, below, left, right = last
    return Field((above, height - 1 - below), (left, width - 1 - right), (height, width), False)


def _probe(model: nn.Module, forward: Forward, call: Call, place: Place) -> Callable[[list[int]], list[bool]]:
    """Give the function that says, for a number of lines less one from each side, which of them reach the unit."""
    image = forward.image if forward.image.is_floating_point() else forward.image.float()

    def reached(lines: list[int]) -> list[bool]:
        above, below, left, right = lines
        batch = image.repeat(4, 1, 1, 1)
        batch[0, :, : above + 1] = torch.nan
        batch[1, :, batch.shape[2] - below - 1 :] = torch.nan
        batch[2, :, :, : left + 1] = torch.nan
        batch[3, :, :, batch.shape[3] - right - 1 :] = torch.nan
        values = _values(model, batch, call)
        return [False] * 4 if values is None else [bool(torch.isnan(value[place])) for value in values]

    return reached


def _values(model: nn.Module, batch: Tensor, call: Call) -> Tensor | None:
    """Give what the call gives for other images (N, C, H, W)."""
    outputs: list[Tensor | None] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        found = first_tensor(output)
        outputs.append(None if found is None else found.clone())

    with ExitStack() as stack:
        stack.callback(call.module.register_forward_hook(keep).remove)
        stack.enter_context(undisturbed(model))
        stack.enter_context(torch.no_grad())
        # Fast convolutions by Winograd or Fourier transforms would spread NaN over places that it does not reach.
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        model(batch.to(device_of(model)))
    return outputs[call.time - 1] if len(outputs) >= call.time else None
