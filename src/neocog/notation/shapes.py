"""Shapes, parameters, MACs and receptive fields of a whole network, in plain integers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from operator import index
from typing import TypeAlias

from neocog.errors import NotationError
from neocog.notation.nodes import Block, Network, Tree
from neocog.notation.view import Pair, View
from neocog.notation.words.base import LARGEST_NUMBER, Layer, Shape, shape_text
from neocog.notation.words.conv import Conv
from neocog.notation.words.dense import Linear
from neocog.notation.words.rbf import Rbf

_SHAPE = re.compile(r"[0-9]+(x[0-9]+)*")
# Channel counts that images have, and the size from which a leading number cannot be one.
_IMAGE_CHANNELS = (1, 3, 4)
_LEAST_IMAGE_SIDE = 8


@dataclass(frozen=True)
class LayerShape:
    """One layer of a network on a given input. Shapes are those of one image: (C, H, W), or (F,) once flat.

    Attributes:
        name: the full name, such as `block2.conv1`.
        layer: the layer, with the number of classes in place of `classes`.
        input_shape: what comes in.
        output_shape: what goes out.
        parameter_shapes: the trainable tensors by name (`weight`, `bias`).
        macs: multiply-accumulates for one image; 0 for all but `conv`, `subsample`, `linear` and `rbf`.
        view_in: how the units of the input look at the image.
        view_out: how the units of the output do.
        note: a remark for the user, ready to print; None where there is nothing to say.
    """

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameter_shapes: Mapping[str, Shape]
    macs: int
    view_in: View
    view_out: View
    note: str | None

    @property
    def text(self) -> str:
        """The layer in the notation, such as `conv 6 5x5 pad 2`."""
        return str(self.layer)

    @property
    def kind(self) -> str:
        """The layer's word, such as `conv`."""
        return self.layer.word

    @property
    def parameters(self) -> int:
        """How many trainable numbers the layer has."""
        return sum(map(prod, self.parameter_shapes.values()))

    @property
    def receptive_field(self) -> Pair:
        """Pixels (height, width) that reach one output unit, padding counted in, so it can exceed the image.

        `flatten` changes nothing about its units; a `linear`, `rbf` or `globalavgpool` sees all that the whole map
        before it saw. Behind a residual block it is the larger of body and shortcut.
        """
        return self.view_out.field

    @property
    def jump(self) -> Pair:
        """Pixels (down, right) between the fields of two neighbouring output units."""
        return self.view_out.jump

    @property
    def start(self) -> Pair:
        """The first pixel (row, column) that output unit (0, 0) sees; negative where it lies in the padding."""
        return self.view_out.start

    def sees(self, row: int, column: int = 0) -> tuple[Pair, Pair]:
        """The pixels of the image that an output unit sees: ((top, bottom), (left, right)).

        Both ends are included; they can lie outside of the image, in the padding. The unit of a map is named by its
        row and column, the same for all channels; that of a flat layer by its number alone.

        Raises:
            NotationError: there is no such unit.
        """
        if len(self.output_shape) == 1:
            self._need_unit((row, column), (*self.output_shape, 1))
            row, column = divmod(row % prod(self.view_out.grid), self.view_out.grid[1])
        else:
            self._need_unit((row, column), (self.output_shape[1], self.output_shape[2]))
        return self.view_out.sees(row, column)

    def _need_unit(self, unit: Pair, size: Pair) -> None:
        if not (0 <= unit[0] < size[0] and 0 <= unit[1] < size[1]):
            written = shape_text(self.output_shape)
            last = f"0 to {size[0] - 1}" if len(self.output_shape) == 1 else f"0,0 to {size[0] - 1},{size[1] - 1}"
            raise NotationError(f"{self.name} gives {written}: its units are {last}, not {unit[0]},{unit[1]}.")

    @property
    def torch(self) -> str:
        """The PyTorch module that the layer becomes, as Python text."""
        return self.layer.torch(self.input_shape)


@dataclass(frozen=True)
class SumShape:
    """The sum at the end of a residual block on a given input: what its body gives plus what its shortcut gives.

    Attributes:
        name: the full name of the block, such as `block1`.
        body: the full name of the last layer or block of its body.
        shortcut: the same of its shortcut; None where the input itself is added.
        output_shape: the shape of both and of their sum.
        view_body: how the units of the body's output look at the image.
        view_shortcut: how those of the shortcut's do.
        view_out: how those of the sum do.
    """

    name: str
    body: str
    shortcut: str | None
    output_shape: Shape
    view_body: View
    view_shortcut: View
    view_out: View


Parts: TypeAlias = list[LayerShape | SumShape]


@dataclass(frozen=True)
class _State:
    shape: Shape
    view: View


def parse_shape(text: str) -> tuple[int, int, int]:
    """Read an image shape written as CxHxW, such as `1x28x28`.

    Raises:
        NotationError: not three whole numbers of at least 1, or HxWxC, with the reordered value.
    """
    plain = re.sub(r"[\s()\[\]]", "", text)
    if not _SHAPE.fullmatch(plain):
        numbers = re.findall(r"[0-9]+", text)
        hint = f"; write '{'x'.join(numbers)}'" if len(numbers) == 3 and len(plain) < 40 else ""
        raise NotationError(f"a shape is written CxHxW, such as 1x28x28, not '{text[:60]}'{hint}.")
    parts = plain.split("x")
    if any(len(part) > 12 for part in parts):
        raise NotationError(f"'{text[:60]}' has a number that is too large for any image.")
    return check_shape([int(part) for part in parts])


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return a shape (channels, height, width) if it is one.

    Raises:
        NotationError: not three whole numbers of at least 1; or HxWxC, which is taken to be meant where the
            last number is 1, 3 or 4 and both others are at least 8; with the reordered value.
    """
    try:
        sizes = tuple(map(index, shape))
    except TypeError:
        raise NotationError(f"a shape is three whole numbers (channels, height, width), not {shape!r}.") from None
    written = shape_text(sizes)
    if len(sizes) == 2:
        raise NotationError(
            f"a shape is CxHxW, three numbers, not '{written}'; a grayscale image is '1x{written}', "
            f"a colour image '3x{written}'."
        )
    if len(sizes) != 3:
        raise NotationError(f"a shape is CxHxW, three numbers such as 1x28x28, not '{written}'.")
    for size in sizes:
        if not 1 <= size <= LARGEST_NUMBER:
            raise NotationError(f"the sizes of a shape are from 1 to {LARGEST_NUMBER:,}, not '{written}'.")
    first, second, last = sizes
    if last in _IMAGE_CHANNELS and min(first, second) >= _LEAST_IMAGE_SIDE:
        raise NotationError(
            f"a shape is written CxHxW, channels first, but '{written}' looks like HxWxC; "
            f"write '{last}x{first}x{second}'."
        )
    return first, second, last


def shapes(network: Network, input_shape: Sequence[int], num_classes: int | None = None) -> list[LayerShape]:
    """Work out every layer of a network; see `Network.shapes`."""
    return layers_of(parts(network, input_shape, num_classes))


def layers_of(parts: Parts) -> list[LayerShape]:
    """Give the layers alone."""
    return [part for part in parts if isinstance(part, LayerShape)]


def parts(network: Network, input_shape: Sequence[int], num_classes: int | None = None) -> Parts:
    """Work out every layer as `Network.shapes` does, and behind those of a residual block the block's own sum."""
    image = check_shape(input_shape)
    if num_classes is not None and num_classes < 1:
        raise NotationError(f"the number of classes must be at least 1, not {num_classes}.")
    found: Parts = []
    start = _State(image, View.of_image(image[1:]))
    end = _forward(network.tree(), "", start, num_classes, found)
    if num_classes is not None:
        _check_classes(layers_of(found), end.shape, num_classes)
    return found


def _forward(tree: Tree, scope: str, state: _State, num_classes: int | None, found: Parts) -> _State:
    for name, item in tree:
        if isinstance(item, Layer):
            layer = _layer_shape(scope + name, item, state, num_classes)
            found.append(layer)
            state = _State(layer.output_shape, layer.view_out)
        else:
            state = _block(item, scope + name, state, num_classes, found)
    return state


def _layer_shape(name: str, layer: Layer, state: _State, num_classes: int | None) -> LayerShape:
    try:
        layer = layer if num_classes is None else layer.with_classes(num_classes)
        output_shape = layer.output_shape(state.shape)
    except NotationError as error:
        raise NotationError(f"{name}: {error}") from None
    return LayerShape(
        name=name,
        layer=layer,
        input_shape=state.shape,
        output_shape=output_shape,
        parameter_shapes=layer.parameter_shapes(state.shape),
        macs=layer.macs(state.shape),
        view_in=state.view,
        view_out=layer.view(state.view, state.shape),
        note=layer.note(state.shape),
    )


def _block(block: Block, name: str, state: _State, num_classes: int | None, found: Parts) -> _State:
    body = _forward(block.children, f"{name}.", state, num_classes, found)
    if not block.residual:
        return body
    beside: Parts = []
    shortcut = _forward(block.shortcut or (), f"{name}.shortcut.", state, num_classes, beside)
    # What a shortcut leaves out the body beside it may see, and a shortcut of another size would not fit that.
    found += [replace(part, note=None) if isinstance(part, LayerShape) else part for part in beside]
    if body.shape != shortcut.shape:
        raise NotationError(_mismatch(name, block, state.shape, body.shape, shortcut.shape))
    ways = (f"{name}.{block.children[-1][0]}", f"{name}.shortcut.{block.shortcut[-1][0]}" if block.shortcut else None)
    found.append(SumShape(name, *ways, body.shape, body.view, shortcut.view, body.view.beside(shortcut.view)))
    return _State(body.shape, found[-1].view_out)


def _mismatch(name: str, block: Block, came: Shape, body: Shape, shortcut: Shape) -> str:
    adds = "the shortcut gives" if block.shortcut else "the input that is added to it is"
    works = _shortcut(came, body)
    hint = f"Make the body give {shape_text(came)}, for example with 'same' in its convolutions."
    if works:
        hint = f"'residual(... ; {works})' works."
    return f"{name}: the body of residual gives {shape_text(body)}, but {adds} {shape_text(shortcut)}.\n{hint}"


def _shortcut(came: Shape, wanted: Shape) -> str | None:
    if len(wanted) == 1:
        return f"linear {wanted[0]}" if len(came) == 1 else f"flatten | linear {wanted[0]}"
    if len(came) == 1:
        return None
    if came[1] < wanted[1] or came[2] < wanted[2]:
        return None
    height, down = _shortcut_window(came[1], wanted[1])
    width, right = _shortcut_window(came[2], wanted[2])
    return str(Conv(wanted[0], (height, width), (down, right)))


def _shortcut_window(size: int, wanted: int) -> tuple[int, int]:
    """A kernel and a stride that bring `size` lines to `wanted`: a single tap where its stride can do that."""
    for stride in range(1, size + 1):
        if (size - 1) // stride + 1 == wanted:
            return 1, stride
    return size - wanted + 1, 1


def _check_classes(layers: Sequence[LayerShape], output: Shape, num_classes: int) -> None:
    if output == (num_classes,):
        return
    if len(output) == 3:
        raise NotationError(
            f"the network ends in a map {shape_text(output)}, but there are {num_classes} classes.\n"
            f"End it with 'flatten | linear classes' or 'globalavgpool | linear classes'."
        )
    last = next((layer for layer in reversed(layers) if isinstance(layer.layer, Linear | Rbf)), None)
    if last is not None and last.output_shape == output:
        raise NotationError(
            f"{last.name}: {last.text} gives {output[0]:,} values, but there are {num_classes} classes.\n"
            f"'{last.kind} classes' takes the number from the data."
        )
    raise NotationError(
        f"the network ends in {output[0]:,} values, but there are {num_classes} classes.\nEnd it with 'linear classes'."
    )
