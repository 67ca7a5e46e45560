"""The classifier's half of a network: `flatten`, `linear`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Literal, Self

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.view import View
from neocog.notation.words.base import Layer, Reason, Shape, count, need_number, shape_text, unknown_classes


@dataclass(frozen=True)
class Flatten(Layer):
    """Writes a map CxHxW as a flat row of C*H*W values, channel after channel, row after row."""

    @property
    def word(self) -> str:
        """`flatten`."""
        return "flatten"

    def __str__(self) -> str:
        return "flatten"

    def torch(self, shape: Shape) -> str:
        """`nn.Flatten`."""
        return "nn.Flatten()"

    def output_shape(self, shape: Shape) -> Shape:
        """One number: how many values there are."""
        return (prod(shape),)

    def note(self, shape: Shape) -> str | None:
        """Says so where there is nothing to flatten."""
        return f"note: flatten on {count(shape[0], 'value')}: flat already" if len(shape) == 1 else None

    def reason(self, shape: Shape) -> Reason:
        """The product of the sizes."""
        if len(shape) == 1:
            return super().reason(shape)
        return Reason(output=f"{'*'.join(map(str, shape))} = {prod(shape):,}")


@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer with `features` outputs; "classes" stands for the data's number of classes."""

    features: int | Literal["classes"]
    bias: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.features, int):
            need_number("the features of linear", self.features, 1)
        elif self.features != "classes":
            raise NotationError(f"the features of linear are a number or 'classes', not '{self.features}'.")

    @property
    def word(self) -> str:
        """`linear`."""
        return "linear"

    def __str__(self) -> str:
        return f"linear {self.features}" + ("" if self.bias else " nobias")

    @property
    def outputs(self) -> int:
        """The number of features.

        Raises:
            NotationError: it is still "classes".
        """
        if isinstance(self.features, int):
            return self.features
        raise unknown_classes(self, Linear(10))

    def with_classes(self, num_classes: int) -> Self:
        """The same with "classes" filled in."""
        return replace(self, features=num_classes) if self.features == "classes" else self

    def torch(self, shape: Shape) -> str:
        """`nn.Linear`."""
        return f"nn.Linear({shape[0]}, {self.outputs}{'' if self.bias else ', bias=False'})"

    def output_shape(self, shape: Shape) -> Shape:
        """The number of features.

        Raises:
            NotationError: the input is a map, or the number of classes is not known.
        """
        if len(shape) != 1:
            raise NotationError(
                f"{self} needs a flat input, but a map {shape_text(shape)} reaches it.\n"
                f"Put 'flatten' before it: "
                f"'flatten | {self}' takes {'*'.join(map(str, shape))} = {prod(shape):,} values."
            )
        return (self.outputs,)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A weight for each pair of output and input, a bias an output."""
        weight: dict[str, Shape] = {"weight": (self.outputs, shape[0])}
        return {**weight, "bias": (self.outputs,)} if self.bias else weight

    def macs(self, shape: Shape) -> int:
        """One for each weight."""
        return self.outputs * shape[0]

    def view(self, view: View, shape: Shape) -> View:
        """All that the flattened map saw."""
        return view.whole()

    def reason(self, shape: Shape) -> Reason:
        """One weight for each pair of output and input, one bias an output."""
        per_output = f"({shape[0]} + 1)" if self.bias else f"{shape[0]}"
        total = self.outputs * (shape[0] + int(self.bias))
        return Reason(
            output=f"{self.outputs:,}, as written",
            parameters=f"{self.outputs} * {per_output} = {total:,}",
            macs=f"{self.outputs} * {shape[0]} = {self.macs(shape):,}",
        )


def read_flatten(arguments: Arguments) -> Flatten:
    """Read `flatten`."""
    return arguments.finish(Flatten)


def read_linear(arguments: Arguments) -> Linear:
    """Read `linear N|classes [nobias]`."""
    features = arguments.integer_or("classes", "the number of features", "linear 10")
    options = arguments.options({"nobias": "flag"}, "linear 10 nobias")
    return arguments.finish(lambda: Linear("classes" if features is None else features, not options.has("nobias")))
