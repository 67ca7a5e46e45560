"""`neocog conv` and `neocog pool`: what they print, and what they say to what is no layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from neocog.commands.sizes import conv, pool
from neocog.errors import NeocogError
from neocog.notation import parse
from neocog.sizes_text import steps_drawn

GOLDEN = Path(__file__).parent / "golden"
APP = typer.Typer()
APP.command()(conv)
APP.command()(pool)

SHOWN = [
    "conv --input 3x32x32 --filters 10 --kernel 5x5 --padding 2 --show",
    "conv --input 1x7x7 --filters 8 --kernel 3 --stride 3",
    "conv --input 4x9x8 --filters 6 --kernel 4x3 --padding same --groups 2 --no-bias --dilation 1x2 --steps 1",
    "conv --input 16x5x5 --filters 120 --kernel 5 --steps 1",
    "conv --input 64x14x14 --filters 16 --kernel 1 --steps 1",
    "conv --input 1x3x3 --kernel 3 --padding full",
    "pool --input 64x14x14 --kernel 2 --show",
    "pool --input 1x7x7 --kernel 3 --stride 2 --kind average --padding 1 --steps 1",
    "pool --input 6x7x5 --kernel 3x2 --stride 3 --show",
    "pool --input 64x14x14 --kernel 3 --stride 5",
    "conv --input 1x9x9 --kernel 3 --stride 2 --dilation 2",
    "conv --input 1x5x5 --kernel 5 --stride 2",
]


def printed(arguments: Sequence[str]) -> str:
    result = CliRunner().invoke(APP, list(arguments))
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def test_what_is_printed_is_the_golden_text() -> None:
    told = "\n".join(f"$ neocog {line}\n{printed(line.split())}" for line in SHOWN)
    assert told == (GOLDEN / "sizes.txt").read_text(encoding="utf-8")


def test_every_equation_that_is_printed_is_true() -> None:
    checked = 0
    for line in (GOLDEN / "sizes.txt").read_text(encoding="utf-8").splitlines():
        if "channel" in line or line.startswith("  sum") or "nn." in line:
            continue
        for left, right in re.findall(r"([-+*/() \d]*\d\)?) = ([\d,.]*\d)", line):
            assert abs(eval(left.strip()) - float(right.replace(",", ""))) < 0.005, line
            checked += 1
    assert checked > 40


def test_the_figures_of_the_course_stand_there() -> None:
    told = printed(["conv", "--input", "3x32x32", "--filters", "10", "--kernel", "5", "--padding", "2"])
    assert "10 * (3*5*5 + 1) = 760" in told
    assert "(3*32*32 + 1) * 10*32*32 = 31,467,520" in told


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("conv --kernel 3", "give the shape of the map that comes in: --input CxHxW"),
        ("conv --input 1x28x28", "give the size of the window: --kernel 5"),
        ("conv --input 28x28 --kernel 3", "a grayscale image is '1x28x28'"),
        ("conv --input 28x28x1 --kernel 3", "write '1x28x28'"),
        ("conv --input 1x5x5 --kernel 9", "conv 1 9x9 on 5x5: (5 - 9 + 2*0) / 1 + 1 = -3, so no position"),
        ("conv --input 1x5x5 --kernel 3x3x3", "The channels of a kernel follow from the input."),
        ("conv --input 1x5x5 --kernel 0", "--kernel 0: expected numbers of at least 1"),
        ("conv --input 1x5x5 --kernel 3 --padding some", "--padding 'some': expected 2, 2x1, same, valid or full."),
        ("conv --input 1x5x5 --kernel 3 --padding same --stride 2", "'conv 1 3x3 stride 2 pad 1' works."),
        ("conv --input 3x8x8 --kernel 3 --filters 10 --groups 3", "'conv 12 3x3 groups 3' works."),
        ("conv --input 4x8x8 --kernel 3 --filters 6 --groups 3", "'conv 6 3x3 groups 2' works."),
        (
            "conv --input 3x32x32 --kernel 3 --groups 2",
            "3 input channels cannot be cut into 2 equal groups.\n'conv 1 3x3' w",
        ),
        (
            "conv --input 2x8x8 --kernel 3 --groups 2",
            "1 channel of conv cannot be cut into 2 equal groups.\n'conv 2 3x3 gr",
        ),
        ("conv --input 1x5x5 --kernel 9 --groups 2", "conv 1 9x9 on 5x5: (5 - 9 + 2*0) / 1 + 1 = -3, so no position"),
        ("conv --input 3x8x8 --kernel 5×5", "--kernel '5×5': expected 5 or 5x3, height first; write '5x5'."),
        ("conv --input 3x8x8 --kernel 3 --stride 2,1", "--stride '2,1': expected 2 or 2x1, down first; write '2x1'."),
        ("conv --input 1x5x5 --kernel 3 --filters 0", "--filters 0: expected a whole number of at least 1."),
        ("conv --input 1x5x5 --kernel 3 --stride -1", "--stride '-1': expected 2 or 2x1"),
        ("conv --input 1x5x5 --kernel 3 --steps 0", "--steps 0: expected a whole number of at least 1."),
        ("conv --input 9x1000x1000 --kernel 999 --show", "too many to draw"),
        ("pool --input 1x4x4 --kernel 2 --padding same", "a pool knows no same or full"),
        ("pool --input 1x4x4 --kernel 2 --padding 2", "'maxpool 2 pad 1' works."),
        ("pool --input 1x1x1 --kernel 2", "Leave this maxpool out"),
    ],
)
def test_what_is_no_layer_is_refused_before_anything_is_printed(line: str, says: str) -> None:
    result = CliRunner().invoke(APP, line.split())
    assert isinstance(result.exception, NeocogError), result.output
    assert says in str(result.exception)
    assert result.output == ""


@pytest.mark.parametrize(
    "text", ["conv 2 3x3 stride 2 pad 1", "conv 2 3x2 full dilation 2", "maxpool 2", "avgpool 3 stride 2"]
)
def test_the_steps_of_a_large_map_are_those_of_the_whole(text: str) -> None:
    # The part that is made must not change what is drawn: here the same steps on a map that is made whole.
    [small], [large] = (parse(text).shapes((2, size, size)) for size in (9, 5000))
    drawn = [steps_drawn(layer, 3).split("\n\nHow often")[0].split("\n\nEach element")[0] for layer in (small, large)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("text", "size", "told", "steps"),
    [("conv 2 3x3", 5, "first 9 steps", 9), ("maxpool 2", 3, "first step", 1), ("maxpool 2", 4, "first 2 steps", 2)],
)
def test_no_more_steps_are_announced_than_there_are(text: str, size: int, told: str, steps: int) -> None:
    [layer] = parse(text).shapes((1, size, size))
    drawn = steps_drawn(layer, 2 if size == 4 else 99)
    assert drawn.startswith(f"The {told},")
    assert drawn.count(" of the output, row ") == steps


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("line", [line for line in SHOWN if line.startswith("conv")])
def test_the_pytorch_module_has_the_size_and_the_parameters_that_are_printed(line: str) -> None:
    told = printed(line.split())
    module = eval(re.findall(r"PyTorch +(.*)", told)[0], {"nn": torch.nn})
    shape = re.findall(r"--input (\S+)", line)[0].split("x")
    output = "x".join(map(str, module(torch.zeros(1, *map(int, shape)))[0].shape))
    assert f", so {output}\n" in told
    assert f" = {sum(p.numel() for p in module.parameters()):,}\n" in told
