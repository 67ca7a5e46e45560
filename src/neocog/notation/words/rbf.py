"""Euclidean radial basis functions, the output of the original LeNet-5: `rbf`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.view import View
from neocog.notation.words.base import Layer, Reason, Shape, count, need_number, shape_text, unknown_classes

# The bitmaps of the digits: rows times columns.
_DIGITS = 10
_PIXELS = 12 * 7


@dataclass(frozen=True)
class Rbf(Layer):
    """Units that each hold a target and give minus the squared Euclidean distance of the input from it.

    The largest output is the nearest target, and the softmax of the outputs is the posterior probability of the
    classes if the inputs of a class scatter around its target like a Gaussian of variance 1/2. Source: LeCun,
    Bottou, Bengio and Haffner (1998), whose output is the distance itself, a penalty.

    Attributes:
        units: how many; "classes" stands for the data's number of classes.
        digits: the targets are the ten digits as bitmaps of 12x7 pixels, -1 and +1, and stay as they are. Otherwise
            they are trained.
    """

    units: int | Literal["classes"]
    digits: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.units, int):
            need_number("the units of rbf", self.units, 1)
        elif self.units != "classes":
            raise NotationError(f"the units of rbf are a number or 'classes', not '{self.units}'.")
        if self.digits and self.units not in ("classes", _DIGITS):
            raise NotationError(
                f"the targets of '{self}' are the ten digits, so it has 10 units, not {self.units:,}.\n"
                f"'{replace(self, digits=False)}' works: its targets are trained."
            )

    @property
    def word(self) -> str:
        """`rbf`."""
        return "rbf"

    def __str__(self) -> str:
        return f"rbf {self.units}" + (" digits" if self.digits else "")

    @property
    def outputs(self) -> int:
        """The number of units.

        Raises:
            NotationError: it is still "classes".
        """
        if isinstance(self.units, int):
            return self.units
        raise unknown_classes(self, replace(self, units=_DIGITS))

    def with_classes(self, num_classes: int) -> Self:
        """The same with "classes" filled in.

        Raises:
            NotationError: the targets are the ten digits, and there are not ten classes.
        """
        if self.units != "classes":
            return self
        if self.digits and num_classes != _DIGITS:
            raise NotationError(
                f"the targets of {self} are the ten digits, but the number of classes is {num_classes:,}.\n"
                f"'{replace(self, digits=False)}' works: its targets are trained."
            )
        return replace(self, units=num_classes)

    def torch(self, shape: Shape) -> str:
        """An expression of the input and the targets."""
        return "-(x[:, None] - targets).square().sum(2)"

    def output_shape(self, shape: Shape) -> Shape:
        """The number of units.

        Raises:
            NotationError: the input is a map, has not as many values as the bitmaps have pixels, or the number of
                classes is not known.
        """
        if len(shape) != 1:
            raise NotationError(
                f"{self} needs a flat input, but a map {shape_text(shape)} reaches it.\nPut 'flatten' before it."
            )
        if self.digits and shape != (_PIXELS,):
            raise NotationError(
                f"{self} compares its input with bitmaps of 12x7 pixels, so it needs 84 values, "
                f"but {count(shape[0], 'value')} reach{'es' if shape[0] == 1 else ''} it.\n"
                f"'linear 84 | scaledtanh | {self}' works."
            )
        return (self.outputs,)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A target for each unit; none where they are the digits, which are not trained."""
        return {} if self.digits else {"targets": (self.outputs, shape[0])}

    def macs(self, shape: Shape) -> int:
        """One for each value of each target: its difference from the input, squared and added."""
        return self.outputs * shape[0]

    def view(self, view: View, shape: Shape) -> View:
        """All that the input saw."""
        return view.whole()

    def reason(self, shape: Shape) -> Reason:
        """A target of as many values as come in for each unit."""
        size = f"{self.outputs} * {shape[0]} = {self.macs(shape):,}"
        distance = "minus the squared distance of the input from each target; the largest is the answer"
        fixed = f"the targets are bitmaps of the ten digits: {self.macs(shape):,} values, not trained"
        return Reason(
            output=f"{self.outputs:,}, as written",
            parameters="" if self.digits else size,
            macs=size,
            notes=(distance, fixed) if self.digits else (distance,),
        )


def read(arguments: Arguments) -> Rbf:
    """Read `rbf N|classes [digits]`."""
    units = arguments.integer_or("classes", "the number of units", "rbf 10 digits")
    options = arguments.options({"digits": "flag"}, "rbf 10 digits")
    return arguments.finish(lambda: Rbf("classes" if units is None else units, options.has("digits")))
