from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import NotationError
from neocog.notation import READERS, Conv, Group, Linear, MaxPool, Network, Rbf, Repeat, Residual, Subsample, parse

from .notation_strategies import networks

LENET5 = """
conv 6 5x5 pad 2 | relu | maxpool 2    # the modern form
conv 16 5x5      | relu | maxpool 2
flatten
linear 120 | relu | linear 84 | relu | linear 10
"""


@settings(deadline=None)
@given(networks())
def test_printing_then_parsing_gives_the_same_network(network: Network) -> None:
    text = str(network)
    assert parse(text) == network
    assert str(parse(text)) == text
    assert parse(network.text(lines=True)) == network


WORDS = [
    *READERS,
    "residual",
    "3",
    "3x3",
    "0.5",
    "*",
    "(",
    ")",
    "|",
    ";",
    "\n",
    ",",
    "#",
    "pad",
    "same",
    "stride",
    "table",
    "0+1",
    "digits",
    "classes",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_any_text_is_a_network_or_a_notation_error(text: str) -> None:
    try:
        network = parse(text)
    except NotationError as error:
        assert str(error)
    else:
        assert parse(str(network)) == network


def test_parsing_gives_the_nodes_that_the_text_names() -> None:
    network = parse("2 * (conv 8 3x1 stride 2x1 dilation 2 groups 4 nobias full | maxpool 3 stride 2 pad 1)")
    conv = Conv(8, (3, 1), (2, 1), "full", (2, 2), 4, False)
    assert network == Network((Repeat(2, Group((conv, MaxPool((3, 3), (2, 2), (1, 1))))),))
    assert parse("conv 2 3 table 0+12 3 nobias | subsample 2x3 | rbf 4") == Network(
        (Conv(2, (3, 3), bias=False, table=((0, 12), (3,))), Subsample((2, 3)), Rbf(4))
    )
    assert parse("rbf classes digits") == Network((Rbf("classes", digits=True),))
    assert parse("residual(linear 8 ; linear classes nobias)") == Network(
        (Residual((Linear(8),), (Linear("classes", False),)),)
    )


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("conv 6 5", "conv 6 5x5"),
        ("conv 6 5x5 valid", "conv 6 5x5"),
        ("conv 6 5x5 pad 0", "conv 6 5x5"),
        ("conv 6 5x5 pad 2x2 stride 1", "conv 6 5x5 pad 2"),
        (
            "conv 6 5x5 nobias groups 2 dilation 1x2 pad 0x1 stride 3",
            "conv 6 5x5 stride 3 pad 0x1 dilation 1x2 groups 2 nobias",
        ),
        ("conv 2 5 table 00+1 2 stride 2", "conv 2 5x5 stride 2 table 0+1 2"),
        ("conv 1 5 table 3 nobias pad 1", "conv 1 5x5 pad 1 nobias table 3"),
        ("subsample 2x2", "subsample 2"),
        ("rbf 010 digits", "rbf 10 digits"),
        ("conv 06 5x5 groups 1 dilation 1", "conv 6 5x5"),
        ("maxpool 2 stride 2 pad 0", "maxpool 2"),
        ("avgpool 3x3 stride 1x2", "avgpool 3 stride 1x2"),
        ("dropout .50", "dropout 0.5"),
        ("relu\n\n\ttanh|gelu", "relu | tanh | gelu"),
        ("relu |\n tanh", "relu | tanh"),
        ("relu\n | tanh", "relu | tanh"),
        ("relu\r\ntanh\rgelu", "relu | tanh | gelu"),
        ("# first\nrelu # (|;\n# last", "relu"),
        ("2*(relu)", "2 * (relu)"),
        ("3 * residual(conv 8 3x3 same;conv 8 1x1)", "3 * residual(conv 8 3x3 same ; conv 8 1x1)"),
        ("residual(\n relu\n tanh\n;\n gelu\n)", "residual(relu | tanh ; gelu)"),
        ("relu\u3000|\u00a0tanh", "relu | tanh"),
    ],
)
def test_every_spelling_has_one_canonical_text(written: str, canonical: str) -> None:
    assert str(parse(written)) == canonical
    assert str(parse(canonical)) == canonical


def test_lines_break_after_each_stage() -> None:
    network = parse(LENET5 + "| softmax")
    assert network.text(lines=True).splitlines() == [
        "conv 6 5x5 pad 2 | relu | maxpool 2",
        "conv 16 5x5 | relu | maxpool 2",
        "flatten",
        "linear 120 | relu | linear 84 | relu | linear 10 | softmax",
    ]
    assert parse("subsample 2 | relu | rbf 2").text(lines=True) == "subsample 2\nrelu | rbf 2"
    assert parse("relu | 2 * (tanh) | relu").text(lines=True) == "relu\n2 * (tanh)\nrelu"


def test_names_count_each_kind_in_its_scope() -> None:
    network = parse(
        "conv 4 3x3 | relu | maxpool 2 | avgpool 2 | 2 * (conv 4 3x3 same | relu | (tanh))\n"
        "residual(conv 4 3x3 same | batchnorm ; conv 4 1x1) | conv 4 1x1\n"
        "subsample 2 | globalavgpool | dropout 0.5 | linear 4 | scaledtanh | linear 2 | rbf 2"
    )
    assert [name for name, _ in network.named_layers()] == [
        "conv1", "relu1", "pool1", "pool2",
        "block1.conv1", "block1.relu1", "block1.block1.tanh1",
        "block2.conv1", "block2.relu1", "block2.block1.tanh1",
        "block3.conv1", "block3.batchnorm1", "block3.shortcut.conv1", "conv2",
        "subsample1", "globalavgpool1", "dropout1", "linear1", "scaledtanh1", "linear2", "rbf1",
    ]  # fmt: skip


def test_the_tree_nests_blocks_and_keeps_shortcuts_apart() -> None:
    names = [name for name, _ in parse("relu | residual(tanh | gelu ; silu) | (relu)").tree()]
    assert names == ["relu1", "block1", "block2"]
    block = dict(parse("relu | residual(tanh | gelu ; silu)").tree())["block1"]
    assert block.residual
    assert [name for name, _ in block.children] == ["tanh1", "gelu1"]
    assert [name for name, _ in block.shortcut] == ["silu1"]
    plain = dict(parse("(relu)").tree())["block1"]
    assert not plain.residual and plain.shortcut is None


@settings(deadline=None)
@given(networks())
def test_names_are_unique_and_as_many_as_layers(network: Network) -> None:
    names = [name for name, _ in network.named_layers()]
    assert len(set(names)) == len(names)


def test_nesting_is_allowed_to_its_limit() -> None:
    deepest = "(" * 32 + "relu" + ")" * 32
    assert str(parse(deepest)) == deepest
    with pytest.raises(NotationError, match="nested more than 32 deep"):
        parse(f"({deepest})")
    with pytest.raises(NotationError, match="nested more than 32 deep"):
        parse("(" * 100_000)


def test_layers_are_allowed_to_their_limit() -> None:
    assert len(parse("100 * (100 * (relu))").named_layers()) == 10_000
    with pytest.raises(NotationError, match="10,001 layers"):
        parse("100 * (100 * (relu)) | relu")


def test_hand_made_nodes_obey_the_same_rules_as_text() -> None:
    for make in (
        lambda: Conv(0, (3, 3)),
        lambda: Conv(8, (3, 3), (2, 2), "same"),
        lambda: MaxPool((2, 2), (2, 2), (2, 2)),
        lambda: Linear("many"),  # type: ignore[arg-type]
        lambda: Rbf("many"),  # type: ignore[arg-type]
        lambda: Rbf(26, digits=True),
        lambda: Subsample((0, 2)),
        lambda: Conv(2, (3, 3), table=((0,),)),
        lambda: Conv(1, (3, 3), table=((),)),
        lambda: Conv(1, (3, 3), table=((-1,),)),
        lambda: Conv(1, (3, 3), table=((1, 0),)),
        lambda: Conv(2, (3, 3), groups=2, table=((0,), (1,))),
        lambda: Network((Rbf(2), Linear(2))),
        lambda: Repeat(0, Group((Linear(2),))),
        lambda: Group(()),
        lambda: Network(()),
    ):
        with pytest.raises(NotationError):
            make()


def test_a_hand_made_network_may_not_be_nested_without_end() -> None:
    node = Group((Linear(2),))
    for _ in range(2000):
        node = Group((node,))
    with pytest.raises(NotationError, match="nested more than 32 deep"):
        Network((node,))
