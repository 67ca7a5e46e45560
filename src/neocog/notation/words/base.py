"""What every layer word answers: its text, its shapes, its parameters, its place in PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self, TypeAlias

from neocog.errors import NotationError
from neocog.notation.view import Pair, View

Shape: TypeAlias = tuple[int, ...]

# No layer of a real network comes near; what exceeds it is a slip of the keyboard.
LARGEST_NUMBER = 1_000_000


@dataclass(frozen=True)
class Reason:
    """The arithmetic behind the numbers of a layer, one text each; empty where there is nothing to reckon."""

    output: str
    parameters: str = ""
    macs: str = ""
    notes: tuple[str, ...] = ()


class Layer(ABC):
    """One layer word with its settings. Immutable; equal when the canonical text is equal.

    Shapes are those of one image without the batch: (C, H, W) for a map, (F,) once it is flat.
    """

    @property
    @abstractmethod
    def word(self) -> str:
        """The word that starts the layer's text, such as `maxpool`."""

    @property
    def stem(self) -> str:
        """What the layer's name starts with, such as `pool`."""
        return self.word

    @abstractmethod
    def __str__(self) -> str: ...

    def with_classes(self, num_classes: int) -> Self:
        """The layer with the number of classes in place of the word `classes`, where that is written.

        Raises:
            NotationError: the layer cannot have so many outputs.
        """
        return self

    @abstractmethod
    def torch(self, shape: Shape) -> str:
        """The PyTorch module that the layer becomes on an input of this shape, as Python text."""

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that the layer gives.

        Raises:
            NotationError: the layer does not fit an input of this shape.
        """
        return shape

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """The trainable tensors, by their names in the state dict; buffers are not among them."""
        return {}

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image; biases, activations and pooling count nothing."""
        return 0

    def view(self, view: View, shape: Shape) -> View:
        """How the layer's units look at the image, given how those of its input do."""
        return view

    def note(self, shape: Shape) -> str | None:
        """A remark for the user about the layer on an input of this shape."""
        return None

    def reason(self, shape: Shape) -> Reason:
        """The arithmetic of the layer on an input of this shape, written out."""
        return Reason(output=f"{shape_text(shape)}, as it came in")


def shape_text(shape: Shape) -> str:
    """Write a shape as CxHxW, or as a plain number once it is flat."""
    return "x".join(str(size) for size in shape)


def pair_text(pair: Pair) -> str:
    """Write a pair as `3x2`, or as `3` where both are the same."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def python_pair(pair: Pair) -> str:
    """Write a pair as PyTorch takes it: `3`, or `(3, 2)` where the two differ."""
    return str(pair[0]) if pair[0] == pair[1] else str(pair)


def count(number: int, noun: str) -> str:
    """Write a number with its noun: `1 row`, `2 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def need_map(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """Return the three sizes of a map.

    Raises:
        NotationError: the shape is flat already.
    """
    if len(shape) != 3:
        raise NotationError(
            f"{layer} needs a map CxHxW, but what reaches it is flat ({count(shape[0], 'value')}).\n"
            f"Put it before the 'flatten' or 'globalavgpool' that comes earlier."
        )
    channels, height, width = shape
    return channels, height, width


def unknown_classes(layer: Layer, works: Layer) -> NotationError:
    """The error of a layer with as many outputs as classes where nobody said how many; `works` has a number."""
    return NotationError(
        f"{layer} takes the number of classes from the data, but none was given.\n"
        "Give it (num_classes=10 in Python, --classes 10 on the command line), "
        f"or write the number itself: '{works}'."
    )


def need_number(what: str, number: int, least: int) -> None:
    """Refuse a number outside `least` to LARGEST_NUMBER.

    Raises:
        NotationError: naming what the number is for.
    """
    if number < least:
        raise NotationError(f"{what} must be at least {least}, not {number}.")
    if number > LARGEST_NUMBER:
        raise NotationError(f"{what} must be at most {LARGEST_NUMBER:,}, not {number:,}.")


def need_pair(what: str, pair: Pair, least: int) -> None:
    """Refuse a pair of which one number lies outside `least` to LARGEST_NUMBER.

    Raises:
        NotationError: naming what the pair is for.
    """
    for number in pair:
        need_number(what, number, least)
