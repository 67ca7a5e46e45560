"""Pooling: `maxpool`, `avgpool`, `globalavgpool`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.view import Pair, View
from neocog.notation.words.base import LARGEST_NUMBER, Layer, Reason, Shape, need_map, need_pair, pair_text, python_pair
from neocog.notation.words.windowed import Windowed


@dataclass(frozen=True)
class _Pool(Windowed):
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        need_pair(f"the kernel of {self.word}", self.kernel, 1)
        need_pair(f"the stride of {self.word}", self.stride, 1)
        need_pair(f"the padding of {self.word}", self.padding, 0)
        if any(pad > kernel // 2 for pad, kernel in zip(self.padding, self.kernel, strict=True)):
            most = (min(self.padding[0], self.kernel[0] // 2), min(self.padding[1], self.kernel[1] // 2))
            # A window further out would hold nothing but padding; PyTorch refuses it too.
            raise NotationError(
                f"the padding of {self.word} is at most half its kernel, {pair_text(self.kernel)} / 2, "
                f"not {pair_text(self.padding)}.\n'{type(self)(self.kernel, self.stride, most)}' works."
            )

    @property
    def stem(self) -> str:
        """`pool`, so that changing the kind of pooling renames nothing."""
        return "pool"

    def __str__(self) -> str:
        parts = [self.word, pair_text(self.kernel)]
        if self.stride != self.kernel:
            parts += ["stride", pair_text(self.stride)]
        if self.padding != (0, 0):
            parts += ["pad", pair_text(self.padding)]
        return " ".join(parts)

    def pads(self) -> tuple[Pair, Pair]:
        """As many lines before as after."""
        return (self.padding[0], self.padding[0]), (self.padding[1], self.padding[1])

    def with_padding(self, padding: Pair) -> Self | None:
        """The same with another padding, where the kernel allows it."""
        if any(pad > kernel // 2 for pad, kernel in zip(padding, self.kernel, strict=True)):
            return None
        return type(self)(self.kernel, self.stride, padding)

    def with_kernel(self, kernel: Pair) -> Self | None:
        """The same with another kernel, the stride as it is."""
        if max(kernel) > LARGEST_NUMBER:
            return None
        if any(pad > size // 2 for pad, size in zip(self.padding, kernel, strict=True)):
            return None
        return type(self)(kernel, self.stride, self.padding)

    def with_stride(self, stride: Pair) -> Self | None:
        """The same with another stride."""
        return type(self)(self.kernel, stride, self.padding)

    def _torch(self, module: str) -> str:
        stride = "" if self.stride == self.kernel else f", stride={python_pair(self.stride)}"
        padding = "" if self.padding == (0, 0) else f", padding={python_pair(self.padding)}"
        return f"nn.{module}({python_pair(self.kernel)}{stride}{padding})"


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The largest value of each window, channel by channel. Padding counts as minus infinity."""

    @property
    def word(self) -> str:
        """`maxpool`."""
        return "maxpool"

    def torch(self, shape: Shape) -> str:
        """`nn.MaxPool2d`."""
        return self._torch("MaxPool2d")


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The mean of each window, channel by channel. Padding counts as zeros, as in PyTorch's default."""

    @property
    def word(self) -> str:
        """`avgpool`."""
        return "avgpool"

    def torch(self, shape: Shape) -> str:
        """`nn.AvgPool2d`."""
        return self._torch("AvgPool2d")


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel over the whole map. What it gives is flat: (C,)."""

    @property
    def word(self) -> str:
        """`globalavgpool`."""
        return "globalavgpool"

    def __str__(self) -> str:
        return "globalavgpool"

    def torch(self, shape: Shape) -> str:
        """An adaptive pool to one point, flattened."""
        return "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())"

    def output_shape(self, shape: Shape) -> Shape:
        """One value a channel.

        Raises:
            NotationError: the input is flat already.
        """
        return (need_map(self, shape)[0],)

    def view(self, view: View, shape: Shape) -> View:
        """The whole map."""
        return view.whole()

    def reason(self, shape: Shape) -> Reason:
        """One mean a channel."""
        return Reason(output=f"{shape[0]}: for each channel the mean of its {'*'.join(map(str, shape[1:]))} values")


def _read(arguments: Arguments) -> tuple[Pair, Pair, Pair]:
    example = f"{arguments.word} 3 stride 2 pad 1"
    kernel = arguments.pair("the kernel", f"{arguments.word} 2")
    options = arguments.options({"stride": "pair", "pad": "pair"}, example)
    return kernel, options.pair("stride", kernel), options.pair("pad", (0, 0))


def read_max(arguments: Arguments) -> MaxPool:
    """Read `maxpool K [stride S] [pad P]`."""
    settings = _read(arguments)
    return arguments.finish(lambda: MaxPool(*settings))


def read_average(arguments: Arguments) -> AvgPool:
    """Read `avgpool K [stride S] [pad P]`."""
    settings = _read(arguments)
    return arguments.finish(lambda: AvgPool(*settings))


def read_global(arguments: Arguments) -> GlobalAvgPool:
    """Read `globalavgpool`."""
    return arguments.finish(GlobalAvgPool)
