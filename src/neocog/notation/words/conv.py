"""Convolution: `conv`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.view import Pair
from neocog.notation.words.base import (
    LARGEST_NUMBER,
    Reason,
    Shape,
    count,
    need_map,
    need_number,
    need_pair,
    pair_text,
    python_pair,
)
from neocog.notation.words.table import (
    Table,
    check_inputs,
    check_table,
    connections,
    connections_note,
    connections_sum,
    entry_text,
)
from neocog.notation.words.windowed import Windowed


@dataclass(frozen=True)
class Conv(Windowed):
    """A convolution with zero padding; as everywhere in the field, the kernel is not flipped.

    Attributes:
        channels: how many kernels, which is how many channels come out.
        kernel: (height, width).
        stride: (down, right).
        padding: lines of zeros (above and below, left and right); "same" keeps height and width (with an
            even kernel the extra line is at the bottom and right); "full" is (kernel - 1) * dilation: every
            position at which kernel and input overlap.
        dilation: distance between neighbouring taps of the kernel, (down, right).
        groups: input and output channels are cut into so many groups, each convolved on its own.
        bias: whether each kernel has a bias.
        table: for each output channel the input channels that it sees, ascending; None where it sees all.
    """

    channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair | Literal["same", "full"] = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    table: Table | None = None

    def __post_init__(self) -> None:
        need_number("the channels of conv", self.channels, 1)
        need_pair("the kernel of conv", self.kernel, 1)
        need_pair("the stride of conv", self.stride, 1)
        need_pair("the dilation of conv", self.dilation, 1)
        need_number("the groups of conv", self.groups, 1)
        if isinstance(self.padding, tuple):
            need_pair("the padding of conv", self.padding, 0)
        if self.padding == "same" and self.stride != (1, 1):
            before = (self._same(0)[0], self._same(1)[0])
            raise NotationError(
                f"'same' needs stride 1, not {pair_text(self.stride)}: "
                f"the output cannot keep the size and shrink.\n"
                f"'{replace(self, padding=before)}' works."
            )
        if self.channels % self.groups:
            enough = replace(self, channels=_multiple(self.channels, self.groups))
            raise NotationError(
                f"{_cannot_be_cut(self.channels, self.groups)}\n"
                f"'{enough}' can, where the channels that come in are a multiple of {self.groups} too."
            )
        if self.table is not None:
            if self.groups != 1:
                raise NotationError(
                    "conv takes 'table' or 'groups', not both: a table says for each channel what it sees.\n"
                    f"'{replace(self, groups=1)}' works."
                )
            check_table(self.table, self.channels)

    @property
    def word(self) -> str:
        """`conv`."""
        return "conv"

    def __str__(self) -> str:
        parts = ["conv", str(self.channels), f"{self.kernel[0]}x{self.kernel[1]}"]
        if self.stride != (1, 1):
            parts += ["stride", pair_text(self.stride)]
        if isinstance(self.padding, str):
            parts.append(self.padding)
        elif self.padding != (0, 0):
            parts += ["pad", pair_text(self.padding)]
        if self.dilation != (1, 1):
            parts += ["dilation", pair_text(self.dilation)]
        if self.groups != 1:
            parts += ["groups", str(self.groups)]
        if not self.bias:
            parts.append("nobias")
        if self.table is not None:
            parts += ["table", *map(entry_text, self.table)]
        return " ".join(parts)

    @property
    def spacing(self) -> Pair:
        """The dilation."""
        return self.dilation

    def pads(self) -> tuple[Pair, Pair]:
        """The lines of zeros before and after, for height and width, with `same` and `full` worked out."""
        if self.padding == "same":
            return self._same(0), self._same(1)
        if self.padding == "full":
            rows, columns = (
                (kernel - 1) * dilation for kernel, dilation in zip(self.kernel, self.dilation, strict=True)
            )
        else:
            rows, columns = self.padding
        return (rows, rows), (columns, columns)

    def with_padding(self, padding: Pair) -> Self | None:
        """The same with another padding, up to the largest number."""
        return None if max(padding) > LARGEST_NUMBER else replace(self, padding=padding)

    def with_kernel(self, kernel: Pair) -> Self | None:
        """The same with another kernel, up to the largest number; what `full` padded stays as it was."""
        if max(kernel) > LARGEST_NUMBER:
            return None
        (above, _), (left, _) = self.pads()
        return replace(self, kernel=kernel, padding=(above, left) if self.padding == "full" else self.padding)

    def with_stride(self, stride: Pair) -> Self | None:
        """The same with another stride, unless its padding cannot go with that."""
        return None if self.padding == "same" and stride != (1, 1) else replace(self, stride=stride)

    def in_groups(self, groups: int, shape: Shape) -> Self:
        """The same cut into groups, on an input of this shape.

        Raises:
            NotationError: its channels or those that come in cannot be cut so; with a line that works.
        """
        channels, _, _ = need_map(self, shape)
        if self.channels % groups and channels % groups == 0:
            works = replace(self, channels=_multiple(self.channels, groups), groups=groups)
            works.output_shape(shape)
            raise NotationError(f"{_cannot_be_cut(self.channels, groups)}\n'{works}' works.")
        if channels % groups:
            raise self._uncut(groups, shape)
        return replace(self, groups=groups)

    def _uncut(self, groups: int, shape: Shape) -> NotationError:
        fits = max(g for g in range(1, groups) if shape[0] % g == 0 and self.channels % g == 0)
        works = replace(self, groups=fits)
        # An input that is too small for the window as well is told of that first: only then does a line work.
        works.output_shape(shape)
        cut = f"{count(shape[0], 'input channel')} cannot be cut into {groups} equal groups."
        return NotationError(f"{self}: {cut}\n'{works}' works.")

    def torch(self, shape: Shape) -> str:
        """`nn.Conv2d` with the input channels filled in.

        With a table there is no such module: it is the convolution whose weight is zero where the table connects
        nothing. `outputs` and `inputs` are the maps of the connections, in the order of the table.
        """
        if self.table is None:
            parts = [f"{shape[0]}, {self.channels}, kernel_size={python_pair(self.kernel)}"]
            parts += self._settings() + ([f"groups={self.groups}"] if self.groups != 1 else [])
            return f"nn.Conv2d({', '.join(parts if self.bias else [*parts, 'bias=False'])})"
        size = ", ".join(map(str, (self.channels, shape[0], *self.kernel)))
        dense = f"torch.zeros({size}).index_put((outputs, inputs), weight)"
        return f"torch.conv2d({', '.join(['x', dense, *(['bias'] if self.bias else []), *self._settings()])})"

    def _settings(self) -> list[str]:
        parts = []
        if self.stride != (1, 1):
            parts.append(f"stride={python_pair(self.stride)}")
        if self.padding == "same":
            parts.append('padding="same"')
        elif self.pads() != ((0, 0), (0, 0)):
            rows, columns = self.pads()
            parts.append(f"padding={python_pair((rows[0], columns[0]))}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={python_pair(self.dilation)}")
        return parts

    def output_shape(self, shape: Shape) -> Shape:
        """As many channels as kernels; height and width by the formula.

        Raises:
            NotationError: the input is flat or too small, or its channels cannot be cut into the groups or lack
                one that the table names.
        """
        channels, _, _ = need_map(self, shape)
        if self.table is not None:
            check_inputs(self.table, channels)
        if channels % self.groups:
            raise self._uncut(self.groups, shape)
        return (self.channels, *super().output_shape(shape)[1:])

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A weight (channels, input channels / groups, height, width), or (connections, height, width) with a table;
        a bias an output channel.
        """
        maps = (self.channels, shape[0] // self.groups) if self.table is None else (connections(self.table),)
        weight: dict[str, Shape] = {"weight": (*maps, *self.kernel)}
        return {**weight, "bias": (self.channels,)} if self.bias else weight

    def macs(self, shape: Shape) -> int:
        """Each weight once at every position of the output."""
        _, height, width = self.output_shape(shape)
        return height * width * self._weights(shape)

    def reason(self, shape: Shape) -> Reason:
        """The formula for the output, the weights and biases, the products."""
        _, height, width = self.output_shape(shape)
        if self.table is not None:
            return self._table_reason(self.table, shape, height, width)
        inputs = f"{shape[0]}/{self.groups}" if self.groups > 1 else f"{shape[0]}"
        kernel = f"{inputs}*{self.kernel[0]}*{self.kernel[1]}"
        each = f"({kernel} + 1)" if self.bias else f"({kernel})"
        total = self._weights(shape) + self.channels * int(self.bias)
        return Reason(
            output=self.output_reason(shape),
            parameters=f"{self.channels} * {each} = {total:,}",
            macs=f"{self.channels}*{height}*{width} * ({kernel}) = {self.macs(shape):,}",
        )

    def _table_reason(self, table: Table, shape: Shape, height: int, width: int) -> Reason:
        kernel = f"{self.kernel[0]}*{self.kernel[1]}"
        biases = f" + {self.channels}" if self.bias else ""
        total = self._weights(shape) + self.channels * int(self.bias)
        return Reason(
            output=self.output_reason(shape),
            parameters=f"({connections_sum(table)}) * {kernel}{biases} = {total:,}",
            macs=f"{height}*{width} * {connections(table)} * {kernel} = {self.macs(shape):,}",
            notes=(connections_note(table, shape[0]),),
        )

    def _weights(self, shape: Shape) -> int:
        maps = self.channels * (shape[0] // self.groups) if self.table is None else connections(self.table)
        return maps * self.kernel[0] * self.kernel[1]

    def _same(self, axis: int) -> Pair:
        total = (self.kernel[axis] - 1) * self.dilation[axis]
        return total // 2, total - total // 2


def _multiple(number: int, of: int) -> int:
    larger = -(-number // of) * of
    return larger if larger <= LARGEST_NUMBER else larger - of


def _cannot_be_cut(channels: int, groups: int) -> str:
    return f"{count(channels, 'channel')} of conv cannot be cut into {groups} equal groups."


def read(arguments: Arguments) -> Conv:
    """Read `conv C KxK [stride S] [pad P | same | valid | full] [dilation D] [groups G] [nobias] [table T …]`."""
    channels = arguments.integer("the number of channels", "conv 8 3x3")
    kernel = arguments.pair("the kernel", f"conv {channels} 3x3")
    example = f"conv {channels} {kernel[0]}x{kernel[1]} stride 2 pad 1"
    options = arguments.options(
        {
            "stride": "pair",
            "pad": "pair",
            "same": "flag",
            "valid": "flag",
            "full": "flag",
            "dilation": "pair",
            "groups": "integer",
            "nobias": "flag",
            "table": "table",
        },
        example,
    )

    def make() -> Conv:
        paddings = [name for name in ("pad", "same", "valid", "full") if options.has(name)]
        if len(paddings) > 1:
            raise NotationError(f"conv takes one padding, not both '{paddings[0]}' and '{paddings[1]}'.")
        padding: Pair | Literal["same", "full"] = options.pair("pad", (0, 0))
        if options.has("same"):
            padding = "same"
        elif options.has("full"):
            padding = "full"
        return Conv(
            channels=channels,
            kernel=kernel,
            stride=options.pair("stride", (1, 1)),
            padding=padding,
            dilation=options.pair("dilation", (1, 1)),
            groups=options.integer("groups", 1),
            bias=not options.has("nobias"),
            table=options.table("table"),
        )

    return arguments.finish(make)
