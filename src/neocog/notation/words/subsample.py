"""Trainable subsampling: `subsample`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from neocog.notation.arguments import Arguments
from neocog.notation.view import Pair
from neocog.notation.words.base import Reason, Shape, need_pair, pair_text, python_pair
from neocog.notation.words.windowed import Windowed


@dataclass(frozen=True)
class Subsample(Windowed):
    """The mean of each window times a coefficient plus a bias, one of each per channel; windows do not overlap.

    It is the subsampling of LeCun, Bottou, Bengio and Haffner (1998). They add the values of a window where this
    takes the mean: the coefficient here is theirs times the number of values, and the two compute the same.
    """

    kernel: Pair

    def __post_init__(self) -> None:
        need_pair("the kernel of subsample", self.kernel, 1)

    @property
    def word(self) -> str:
        """`subsample`."""
        return "subsample"

    def __str__(self) -> str:
        return f"subsample {pair_text(self.kernel)}"

    @property
    def stride(self) -> Pair:  # type: ignore[override]  # the window's attribute, here not a setting of its own
        """The kernel: each value belongs to one window."""
        return self.kernel

    @property
    def padding(self) -> Pair:  # type: ignore[override]  # as above
        """None."""
        return 0, 0

    def pads(self) -> tuple[Pair, Pair]:
        """No lines at all."""
        return (0, 0), (0, 0)

    def with_padding(self, padding: Pair) -> Self | None:
        """None: there is no padding."""
        return None

    def with_kernel(self, kernel: Pair) -> Self | None:
        """The same with a smaller kernel; a larger one would move in larger steps too."""
        smaller = all(new <= old for new, old in zip(kernel, self.kernel, strict=True))
        return type(self)(kernel) if smaller else None

    def with_stride(self, stride: Pair) -> Self | None:
        """None: the stride is the kernel."""
        return None

    def torch(self, shape: Shape) -> str:
        """An expression of the average pooling and the two parameters."""
        pool = f"nn.AvgPool2d({python_pair(self.kernel)})"
        return f"weight[:, None, None] * {pool}(x) + bias[:, None, None]"

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A weight, the coefficient, and a bias a channel."""
        return {"weight": (shape[0],), "bias": (shape[0],)}

    def macs(self, shape: Shape) -> int:
        """One for each value of the output: its mean times the coefficient, plus the bias."""
        channels, height, width = self.output_shape(shape)
        return channels * height * width

    def reason(self, shape: Shape) -> Reason:
        """The formula for the output, two parameters a channel, one product an output."""
        channels, height, width = self.output_shape(shape)
        values = self.kernel[0] * self.kernel[1]
        return Reason(
            output=self.output_reason(shape),
            parameters=f"2 * {channels} = {2 * channels:,}",
            macs=f"{channels}*{height}*{width} = {self.macs(shape):,}",
            notes=(f"weight times the mean of {values} values, plus bias; one weight and one bias for each map",),
        )


def read(arguments: Arguments) -> Subsample:
    """Read `subsample K`."""
    kernel = arguments.pair("the kernel", "subsample 2")
    return arguments.finish(lambda: Subsample(kernel))
