"""`neocog conv` and `neocog pool`: the arithmetic of one layer, and its first steps drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from neocog.arguments import one_of, whole
from neocog.errors import RecipeError
from neocog.printing import say

if TYPE_CHECKING:
    from neocog.notation import Layer, LayerShape

InputOption = Annotated[str, typer.Option("--input", metavar="CxHxW", help="Shape of the map that comes in.")]
KernelOption = Annotated[str, typer.Option(metavar="K|HxW", help="Size of the window, such as 3 or 5x3.")]
ShowOption = Annotated[bool, typer.Option("--show", help="Draw the first steps, with made numbers.")]
StepsOption = Annotated[
    int | None, typer.Option(parser=whole, metavar="N", help="How many steps to draw; 2 unless you say.")
]

_PAIR = re.compile(r"([0-9]{1,12})(?:x([0-9]{1,12}))?")
_MISWRITTEN = re.compile(r"[\s(\[]*([0-9]{1,12})\s*[xX×*,]\s*([0-9]{1,12})[\s)\]]*")
_STEPS = 2


def conv(
    input_shape: InputOption = "",
    kernel: KernelOption = "",
    filters: Annotated[int, typer.Option(parser=whole, metavar="N", help="How many kernels.")] = 1,
    padding: Annotated[
        str, typer.Option(metavar="P|same|valid|full", help="Lines of zeros on each side, such as 2 or 2x1.")
    ] = "valid",
    stride: Annotated[str, typer.Option(metavar="S", help="How far the window moves, such as 2 or 2x1.")] = "1",
    dilation: Annotated[str, typer.Option(metavar="D", help="Distance between neighbouring taps.")] = "1",
    groups: Annotated[int, typer.Option(parser=whole, metavar="G", help="Parts that the channels are cut into.")] = 1,
    no_bias: Annotated[bool, typer.Option("--no-bias", help="Kernels without a bias.")] = False,
    show: ShowOption = False,
    steps: StepsOption = None,
) -> None:
    """Work out a convolution: its size, parameters and cost, beside those of a fully connected layer."""
    from neocog.notation import Conv, parse_shape
    from neocog.sizes_text import conv_text

    _need(input_shape, kernel)
    shape = parse_shape(input_shape)
    layer = Conv(
        channels=_at_least_one("filters", filters),
        kernel=_pair("kernel", kernel, 1, "5 or 5x3, height first"),
        stride=_pair("stride", stride, 1, "2 or 2x1, down first"),
        padding=_padding(padding),
        dilation=_pair("dilation", dilation, 1, "2 or 2x1, down first"),
        bias=not no_bias,
    ).in_groups(_at_least_one("groups", groups), shape)
    _tell(layer, shape, conv_text, show, steps)


def pool(
    input_shape: InputOption = "",
    kernel: KernelOption = "",
    stride: Annotated[
        str | None, typer.Option(metavar="S", help="How far the window moves; the size of the window unless you say.")
    ] = None,
    padding: Annotated[str, typer.Option(metavar="P", help="Lines of padding on each side, at most K / 2.")] = "0",
    kind: Annotated[
        str, typer.Option(parser=one_of("max", "average"), metavar="max|average", help="What is taken of a window.")
    ] = "max",
    show: ShowOption = False,
    steps: StepsOption = None,
) -> None:
    """Work out a pooling layer: its size, and what its stride leaves out."""
    from neocog.notation import AvgPool, MaxPool, parse_shape
    from neocog.sizes_text import pool_text

    _need(input_shape, kernel)
    shape = parse_shape(input_shape)
    window = _pair("kernel", kernel, 1, "2 or 3x2, height first")
    layer = {"max": MaxPool, "average": AvgPool}[kind](
        window,
        window if stride is None else _pair("stride", stride, 1, "2 or 2x1, down first"),
        _pair("padding", padding, 0, "1 or 1x0; a pool knows no same or full"),
    )
    _tell(layer, shape, pool_text, show, steps)


def _need(input_shape: str, kernel: str) -> None:
    if not input_shape:
        raise RecipeError("give the shape of the map that comes in: --input CxHxW, such as --input 3x32x32.")
    if not kernel:
        raise RecipeError("give the size of the window: --kernel 5, or --kernel 5x3, height first.")


def _tell(
    layer: Layer, shape: tuple[int, int, int], text: Callable[[LayerShape], str], show: bool, steps: int | None
) -> None:
    from neocog.notation import Network
    from neocog.sizes_text import steps_drawn

    # A mistake is told before anything is printed, and without the name that a lone layer does not need.
    layer.output_shape(shape)
    [worked_out] = Network((layer,)).shapes(shape)
    parts = [text(worked_out)]
    if show or steps is not None:
        parts.append(steps_drawn(worked_out, _STEPS if steps is None else _at_least_one("steps", steps)))
    say("\n\n".join(parts))


def _pair(option: str, text: str, least: int, example: str) -> tuple[int, int]:
    match = _PAIR.fullmatch(text.strip())
    if match is None:
        more = " The channels of a kernel follow from the input." if option == "kernel" and text.count("x") == 2 else ""
        meant = _MISWRITTEN.fullmatch(text)
        hint = f"; write '{meant[1]}x{meant[2]}'" if meant else ""
        raise RecipeError(f"--{option} {text!r}: expected {example}{hint}.{more}")
    pair = int(match[1]), int(match[2] or match[1])
    if min(pair) < least:
        raise RecipeError(f"--{option} {text}: expected numbers of at least {least}, such as {example}.")
    return pair


def _padding(text: str) -> tuple[int, int] | Literal["same", "full"]:
    match text:
        case "same":
            return "same"
        case "full":
            return "full"
        case "valid":
            return 0, 0
    return _pair("padding", text, 0, "2, 2x1, same, valid or full")


def _at_least_one(option: str, number: int) -> int:
    if number < 1:
        raise RecipeError(f"--{option} {number}: expected a whole number of at least 1.")
    return number
