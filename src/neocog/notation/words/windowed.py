"""A window that moves over a map: the arithmetic that convolution and pooling share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

from neocog.errors import NotationError
from neocog.notation.view import Pair, View
from neocog.notation.words.base import Layer, Reason, Shape, need_map, pair_text, shape_text


@dataclass(frozen=True)
class Window:
    """A window along one axis: floor((size - kernel + padding) / stride) + 1 positions.

    Attributes:
        size: how many lines come in.
        kernel: how many taps the window has.
        stride: how far it moves.
        before: lines of padding before the first.
        after: lines of padding after the last.
        dilation: distance between its taps.
    """

    size: int
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def reach(self) -> int:
        """How many lines the window spans."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def room(self) -> int:
        """How many lines the window can move; negative where it does not fit at all."""
        return self.size - self.reach + self.before + self.after

    @property
    def output(self) -> int:
        """How many positions the window takes; below 1 where it does not fit."""
        return self.room // self.stride + 1

    @property
    def remainder(self) -> int:
        """How many lines at the end, padding included, no position reaches."""
        return self.room % self.stride

    @property
    def unseen(self) -> int:
        """How many of them belong to the input rather than to its padding."""
        return max(0, self.remainder - self.after)

    def __str__(self) -> str:
        reach = str(self.kernel) if self.dilation == 1 else f"(({self.kernel} - 1)*{self.dilation} + 1)"
        padding = f"2*{self.before}" if self.before == self.after else f"({self.before} + {self.after})"
        exact = Fraction(self.room, self.stride) + 1
        return f"({self.size} - {reach} + {padding}) / {self.stride} + 1 = {_rounded(exact)}"


class Windowed(Layer):
    """A layer whose output size follows from a window."""

    kernel: Pair
    stride: Pair
    padding: Pair | Literal["same", "full"]

    @abstractmethod
    def pads(self) -> tuple[Pair, Pair]:
        """Lines of padding as ((above, below), (left, right))."""

    @abstractmethod
    def with_padding(self, padding: Pair) -> Self | None:
        """The same layer with another padding; None where its rules forbid that."""

    @abstractmethod
    def with_kernel(self, kernel: Pair) -> Self | None:
        """The same layer with another kernel; None where its rules forbid that."""

    @property
    def spacing(self) -> Pair:
        """The distance between the taps of the kernel."""
        return 1, 1

    def windows(self, shape: Shape) -> tuple[Window, Window]:
        """The window down the rows and the one along the columns.

        Raises:
            NotationError: the input is flat.
        """
        _, height, width = need_map(self, shape)
        (above, below), (left, right) = self.pads()
        return (
            Window(height, self.kernel[0], self.stride[0], above, below, self.spacing[0]),
            Window(width, self.kernel[1], self.stride[1], left, right, self.spacing[1]),
        )

    def output_shape(self, shape: Shape) -> Shape:
        """The channels as they came; height and width by the formula.

        Raises:
            NotationError: the input is flat, or too small for a single position of the window.
        """
        rows, columns = self.windows(shape)
        if rows.output < 1 or columns.output < 1:
            raise NotationError(_too_small(self, shape))
        return (shape[0], rows.output, columns.output)

    def view(self, view: View, shape: Shape) -> View:
        """The field grows by (reach - 1) jumps and starts by the padding earlier; the stride multiplies the jump."""
        rows, columns = self.windows(shape)
        return view.window(
            reach=(rows.reach, columns.reach),
            stride=self.stride,
            before=(rows.before, columns.before),
            grid=(rows.output, columns.output),
        )

    def note(self, shape: Shape) -> str | None:
        """What a stride that does not divide leaves unseen, and how to leave out nothing."""
        rows, columns = self.windows(shape)
        if not rows.remainder and not columns.remainder:
            return None
        first = f"note: {self} on {shape_text(shape[1:])}: {self.output_reason(shape, channels=False)}; "
        if not rows.unseen and not columns.unseen:
            return first + "only padding is left out"
        first += _unseen(rows.unseen, columns.unseen)
        better = exact_fit(self, shape)
        return first if better is None else f"{first}\n      {better}"

    def output_reason(self, shape: Shape, *, channels: bool = True) -> str:
        """The formula filled in, for both axes where they differ, and the size that follows."""
        rows, columns = self.windows(shape)
        output = self.output_shape(shape)
        text = f"{rows}" if rows == columns else f"{rows} high, {columns} wide"
        return f"{text}, so {shape_text(output if channels else output[1:])}"

    def reason(self, shape: Shape) -> Reason:
        """The formula for the output."""
        return Reason(output=self.output_reason(shape))


def exact_fit(layer: Windowed, shape: Shape) -> str | None:
    """Describe the smallest change of padding, or else of the kernel, that leaves no remainder."""
    rows, columns = layer.windows(shape)
    padding = (_exact_padding(rows), _exact_padding(columns))
    if padding[0] is not None and padding[1] is not None:
        padded = layer.with_padding((padding[0], padding[1]))
        if padded is not None:
            unpadded = layer.padding == (0, 0)
            change = f"pad {pair_text((padding[0], padding[1]))}" if unpadded else str(padded)
            return f"'{change}' gives {_fit_reason(padded, shape)}"
    if rows.remainder % rows.dilation or columns.remainder % columns.dilation:
        return None
    larger = layer.with_kernel(
        (
            rows.kernel + rows.remainder // rows.dilation,
            columns.kernel + columns.remainder // columns.dilation,
        )
    )
    return None if larger is None else f"'{larger}' gives {_fit_reason(larger, shape)}"


def _exact_padding(window: Window) -> int | None:
    if not window.remainder:
        return window.before
    for padding in range(window.before + 1, window.before + window.stride + 1):
        if (window.size - window.reach + 2 * padding) % window.stride == 0:
            return padding
    return None


def _fit_reason(layer: Windowed, shape: Shape) -> str:
    # A stride longer than the window skips lines between its positions, however well the last one fits.
    skips = any(window.stride > window.reach for window in layer.windows(shape))
    end = "with no remainder" if skips else "with nothing left out"
    return f"{layer.output_reason(shape, channels=False)} {end}"


def _too_small(layer: Windowed, shape: Shape) -> str:
    rows, columns = layer.windows(shape)
    formula = f"{rows}" if rows == columns else f"{rows} high, {columns} wide"
    first = f"{layer} on {shape_text(shape[1:])}: {formula}, so no position of the window fits.\n"
    if rows.size == columns.size == 1 and not layer.parameter_shapes(shape):
        return first + f"Leave this {layer.word} out: the map is a single point already."
    padding = (max(rows.before, _least_padding(rows)), max(columns.before, _least_padding(columns)))
    padded = layer.with_padding(padding)
    if padded is not None:
        return first + f"'{padded}' gives {padded.output_reason(shape, channels=False)}."
    smaller = layer.with_kernel((_most_taps(rows), _most_taps(columns)))
    if smaller is None:
        return first + "Use a smaller kernel, or leave this layer out."
    return first + f"'{smaller}' gives {smaller.output_reason(shape, channels=False)}."


def _least_padding(window: Window) -> int:
    return max(0, -(-(window.reach - window.size) // 2))


def _most_taps(window: Window) -> int:
    return min(window.kernel, (window.size - 1) // window.dilation + 1)


def _unseen(rows: int, columns: int) -> str:
    if rows and rows == columns:
        return "the last row and column are not seen" if rows == 1 else f"the last {rows} rows and columns are not seen"
    parts = []
    if rows:
        parts.append("the last row" if rows == 1 else f"the last {rows} rows")
    if columns:
        parts.append("the last column" if columns == 1 else f"the last {columns} columns")
    return " and ".join(parts) + (" is not seen" if rows + columns == 1 else " are not seen")


def _rounded(number: Fraction) -> str:
    if number.denominator == 1:
        return str(number.numerator)
    digits = 2
    # A rounded value that looks whole would contradict the remainder that it explains.
    while Fraction(text := f"{float(number):.{digits}f}").denominator == 1 and digits < 9:
        digits += 1
    return text.rstrip("0")
