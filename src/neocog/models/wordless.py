"""Layers of the named networks that the notation has no word for, with the arithmetic of those that it has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from neocog.notation import Conv, Layer, Shape
from neocog.notation.view import Pair
from neocog.notation.words.base import Reason, shape_text


@dataclass(frozen=True)
class UnevenConv(Conv):
    """A convolution with more zeros on one side of the map than on the other.

    `margins` are the lines of zeros, ((above, below), (left, right)); the padding of the notation plays no part.
    """

    margins: tuple[Pair, Pair] = ((0, 0), (0, 0))

    def __str__(self) -> str:
        (above, below), (left, right) = self.margins
        return f"{super().__str__()}, padded {above} above, {below} below, {left} left, {right} right"

    def pads(self) -> tuple[Pair, Pair]:
        """The margins."""
        return self.margins

    def torch(self, shape: Shape) -> str:
        """`nn.Conv2d` without padding, on an input that was padded."""
        (above, below), (left, right) = self.margins
        module = replace(self, margins=((0, 0), (0, 0)))
        return f"{Conv.torch(module, shape)} of F.pad(x, ({left}, {right}, {above}, {below}))"

    def reason(self, shape: Shape) -> Reason:
        """As of any convolution, with the zeros around the map."""
        (above, below), (left, right) = self.margins
        zeros = f"lines of zeros: {above} above, {below} below, {left} left, {right} right"
        return replace(super().reason(shape), notes=(zeros,))


@dataclass(frozen=True)
class ReLU6(Layer):
    """min(max(0, x), 6) of each value."""

    @property
    def word(self) -> str:
        """`relu6`, as PyTorch calls it."""
        return "relu6"

    def __str__(self) -> str:
        return self.word

    def torch(self, shape: Shape) -> str:
        """`nn.ReLU6()`."""
        return "nn.ReLU6()"

    def reason(self, shape: Shape) -> Reason:
        """The function, and that it leaves the shape alone."""
        return Reason(f"{shape_text(shape)}, each value x becomes min(max(0, x), 6)")


WORDLESS = (UnevenConv, ReLU6)
