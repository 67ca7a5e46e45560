"""A window that moves over a map: the arithmetic that convolution and pooling share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Literal, Self

from neocog.errors import NotationError
from neocog.notation.view import Pair, View
from neocog.notation.words.base import Layer, Reason, Shape, count, need_map, shape_text
from neocog.notation.words.window import Window

_MOST_LINES = 6
_MOST_STRIDES = 8


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

    @abstractmethod
    def with_stride(self, stride: Pair) -> Self | None:
        """The same layer with a smaller stride; None where its rules forbid that."""

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
        """What the window leaves unseen, at the end or between its positions, and how to leave out nothing."""
        rows, columns = self.windows(shape)
        gaps, unseen = rows.gaps + columns.gaps, rows.unseen + columns.unseen
        if not (rows.remainder or columns.remainder or gaps):
            return None
        first = f"note: {self} on {shape_text(shape[1:])}: {self.output_reason(shape, channels=False)}; "
        if not gaps + unseen:
            return first + "only padding is left out"
        if gaps:
            lines = [first + _unseen_lines(rows, columns), *_skips(rows, columns)]
        else:
            lines = [first + _unseen(rows.unseen, columns.unseen)]
        better = sees_all(self, shape)
        return "\n      ".join([*lines, better] if better else lines)

    def output_reason(self, shape: Shape, *, channels: bool = True) -> str:
        """The formula filled in, for both axes where they differ, and the size that follows."""
        rows, columns = self.windows(shape)
        output = self.output_shape(shape)
        text = f"{rows}" if rows == columns else f"{rows} high, {columns} wide"
        return f"{text}, so {shape_text(output if channels else output[1:])}"

    def reason(self, shape: Shape) -> Reason:
        """The formula for the output."""
        return Reason(output=self.output_reason(shape))


def sees_all(layer: Windowed, shape: Shape) -> str | None:
    """Describe the smallest change that leaves out nothing: of the padding, else of the kernel, else of the stride."""
    for changed in _changes(layer, shape):
        windows = changed.windows(shape)
        if not any(window.gaps + window.unseen for window in windows):
            text = str(changed)
            if text.startswith(f"{layer} pad "):
                text = text.removeprefix(f"{layer} ")
            rest = "only padding" if any(window.remainder for window in windows) else "nothing"
            return f"'{text}' gives {changed.output_reason(shape, channels=False)} with {rest} left out"
    return None


def _changes(layer: Windowed, shape: Shape) -> Iterator[Windowed]:
    rows, columns = layer.windows(shape)
    padded = _padded(layer, rows, columns, _exact_padding)
    if padded is not None:
        yield padded
    if not rows.remainder % rows.dilation and not columns.remainder % columns.dilation:
        taps = (rows.kernel + rows.remainder // rows.dilation, columns.kernel + columns.remainder // columns.dilation)
        larger = layer.with_kernel(taps)
        if larger is not None:
            yield larger
    for strides in _closer(rows, columns):
        closer = layer.with_stride(strides)
        for choose in (_exact_padding, _covering_padding):
            padded = None if closer is None else _padded(closer, *closer.windows(shape), choose)
            if padded is not None:
                yield padded


def _closer(rows: Window, columns: Window) -> Iterator[Pair]:
    """Smaller strides, largest first, along the axes on which something is unseen."""
    windows = rows, columns
    most = [_largest_stride(window) for window in windows]
    for less in range(min(max(most), _MOST_STRIDES)):
        down, right = (
            max(1, stride - less) if window.gaps + window.unseen else window.stride
            for stride, window in zip(most, windows, strict=True)
        )
        yield down, right


def _padded(layer: Windowed, rows: Window, columns: Window, choose: Callable[[Window], int | None]) -> Windowed | None:
    above, left = choose(rows), choose(columns)
    if above is None or left is None:
        return None
    return layer if (above, left) == (rows.before, columns.before) else layer.with_padding((above, left))


def _exact_padding(window: Window) -> int | None:
    """The padding, at least as much as there is, that leaves no remainder."""
    if not window.remainder:
        return window.before
    # One line more at either end makes two, so an odd number is only reached a whole stride later.
    missing = window.stride - window.remainder
    if missing % 2:
        missing += window.stride
    return None if missing % 2 else window.before + missing // 2


def _covering_padding(window: Window) -> int:
    """The padding, at least as much as there is, that leaves a remainder of nothing but padding."""
    return window.before + (-(-(window.stride - window.remainder) // 2) if window.unseen else 0)


def _largest_stride(window: Window) -> int:
    """The largest stride, up to the window's own, that can leave nothing between its positions."""
    if window.dilation > 1:
        return 1 if window.gaps else window.stride
    return min(window.stride, window.kernel)


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


def _unseen_lines(rows: Window, columns: Window) -> str:
    if rows == columns:
        return f"not seen: {_listed(rows, 'rows and columns')}"
    parts = [_listed(rows, "rows"), _listed(columns, "columns")]
    return f"not seen: {', '.join(part for part in parts if part)}"


def _listed(window: Window, noun: str) -> str:
    """Such as `5 of 14 rows (3, 4, 8, 9, 13)`."""
    number = window.gaps + window.unseen
    if not number:
        return ""
    shown = [*map(str, window.first_unseen(_MOST_LINES)), *(["…"] if number > _MOST_LINES else [])]
    return f"{number:,} of {window.size:,} {noun} ({', '.join(shown)})"


def _skips(rows: Window, columns: Window) -> list[str]:
    """Why there are gaps, where there are: one line, or one down and one across."""
    if rows == columns:
        return [_skip(rows)]
    return [
        f"{direction}, {_skip(window)}" for direction, window in (("down", rows), ("across", columns)) if window.gaps
    ]


def _skip(window: Window) -> str:
    if window.dilation == 1:
        skipped = f"{window.stride} - {window.kernel} = {count(window.stride - window.kernel, 'line')}"
        return f"the stride of {window.stride} skips {skipped} after each window of {window.kernel}"
    taps = f"the {count(window.kernel, 'tap')}, {window.dilation} apart,"
    if window.output == 1:
        return f"{taps} stand at one position alone"
    return f"{taps} stand at {window.output:,} positions, {window.stride} apart"
