from __future__ import annotations

import re
from pathlib import Path

import pytest

from neocog.models import catalogue
from neocog.notation import field_text, parse, why

GOLDEN = Path(__file__).parent.parent / "golden"

LENET5 = (
    "conv 6 5x5 pad 2 | relu | maxpool 2 | conv 16 5x5 | relu | maxpool 2\n"
    "flatten | linear 120 | relu | linear 84 | relu | linear classes"
)
LENET5_1998 = catalogue.find("lenet5-1998").notation or ""
# Trainable targets, a table without biases, and windows that are not square.
HISTORIC = "conv 3 3x2 nobias stride 2x1 table 0+1 1 0 | subsample 2x3 | flatten | rbf classes"
# A layer of every kind and every way to write out an arithmetic.
ASSORTED = (
    "conv 8 4x3 same groups 2 nobias | batchnorm | silu | conv 8 3x3 stride 2 pad 1 dilation 1x2 | avgpool 3x2 pad 1\n"
    "2 * residual(conv 8 3x3 same | gelu | scaledtanh ; conv 8 1x1) | conv 4 2x2 full | tanh | sigmoid\n"
    "globalavgpool | flatten | batchnorm | dropout 0.25 | linear 3 nobias | softmax"
)


def explained(text: str, shape: tuple[int, int, int]) -> str:
    layers = parse(text).shapes(shape, num_classes=10 if "classes" in text else None)
    return "\n\n".join(why(layer) for layer in layers) + "\n"


def test_the_arithmetic_of_lenet5() -> None:
    assert explained(LENET5, (1, 28, 28)) == (GOLDEN / "notation_why_lenet5.txt").read_text(encoding="utf-8")


def test_the_arithmetic_of_the_original_lenet5() -> None:
    expected = (GOLDEN / "notation_why_lenet5_1998.txt").read_text(encoding="utf-8")
    assert explained(LENET5_1998, (1, 32, 32)) + "\n" + explained(HISTORIC, (2, 10, 10)) == expected


def test_the_arithmetic_of_every_kind_of_layer() -> None:
    assert explained(ASSORTED, (4, 21, 18)) == (GOLDEN / "notation_why_assorted.txt").read_text(encoding="utf-8")


def test_every_equation_that_is_written_out_is_true() -> None:
    checked = 0
    texts = ((LENET5, (1, 28, 28)), (ASSORTED, (4, 21, 18)), (LENET5_1998, (1, 32, 32)), (HISTORIC, (2, 10, 10)))
    for text, shape in texts:
        for line in explained(text, shape).splitlines():
            for equation in re.split(" high, | wide| down, | across", line.split("  ")[-1]):
                left, equals, right = equation.partition(" = ")
                if not equals or "x" in left:
                    continue
                result = float(right.split(", so")[0].replace(",", ""))
                assert abs(eval(left) - result) < 0.005, equation
                checked += 1
    assert checked > 140


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv 1 5x3 pad 2x0 stride 1x2", "5x3 from -2,0 every 1x2"),
        ("conv 1 3x3 same | maxpool 2", "4x4 from -1,-1 every 2"),
        ("conv 1 3x3 same | globalavgpool", "11x11 from -1,-1"),
        ("residual(conv 2 3x3 stride 2 ; conv 2 1x1 stride 3) | relu", "up to 4x4 from 0,0"),
    ],
)
def test_the_place_of_a_receptive_field(text: str, expected: str) -> None:
    size = 10 if text.startswith("residual") else 9
    assert field_text(parse(text).shapes((1, size, size))[-1].view_out) == expected


def test_the_table_of_lenet5() -> None:
    rows = [
        f"{layer.name:<9} {layer.text:<17} {'x'.join(map(str, layer.output_shape)):<8} "
        f"{layer.parameters:>6,} {layer.macs:>7,} {layer.receptive_field[0]:>2} {layer.jump[0]}"
        for layer in parse(LENET5).shapes((1, 28, 28), num_classes=10)
    ]
    assert "\n".join(rows) + "\n" == (GOLDEN / "notation_lenet5.txt").read_text(encoding="utf-8")
