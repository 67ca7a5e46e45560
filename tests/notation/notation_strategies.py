"""Random networks for the tests of the notation and of what is built on it."""

from __future__ import annotations

from hypothesis import strategies as st

from neocog.notation import (
    ACTIVATIONS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Group,
    Layer,
    Linear,
    MaxPool,
    Network,
    Node,
    Rbf,
    Repeat,
    Residual,
    Subsample,
    Table,
)

INNER_ACTIVATIONS = [kind for kind in ACTIVATIONS if kind != "softmax"]


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


def tables(channels: int, inputs: int) -> st.SearchStrategy[Table]:
    entry = st.sets(st.integers(0, inputs - 1), min_size=1).map(lambda seen: tuple(sorted(seen)))
    return st.lists(entry, min_size=channels, max_size=channels).map(tuple)


@st.composite
def convs(draw: st.DrawFn, groups: int = 4) -> Conv:
    """With a table, or with groups, of which a table names no more inputs than there may be groups."""
    channels = draw(st.integers(1, 5))
    table = draw(st.one_of(st.none(), tables(channels, groups)))
    cut = draw(st.integers(1, groups)) if table is None else 1
    stride = draw(pairs(1, 3))
    paddings = [pairs(0, 3), st.just("full")] + ([st.just("same")] if stride == (1, 1) else [])
    return Conv(
        channels=cut * channels,
        kernel=draw(pairs(1, 5)),
        stride=stride,
        padding=draw(st.one_of(paddings)),
        dilation=draw(pairs(1, 3)),
        groups=cut,
        bias=draw(st.booleans()),
        table=table,
    )


@st.composite
def pools(draw: st.DrawFn) -> MaxPool | AvgPool:
    kernel = draw(pairs(1, 4))
    padding = (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2)))
    stride = draw(st.one_of(st.just(kernel), pairs(1, 4)))
    return draw(st.sampled_from([MaxPool, AvgPool]))(kernel, stride, padding)


def windowed(groups: int = 1) -> st.SearchStrategy[Layer]:
    return st.one_of(convs(groups), pools(), pairs(1, 4).map(Subsample))


def elementwise() -> st.SearchStrategy[Layer]:
    return st.one_of(
        st.sampled_from(INNER_ACTIVATIONS).map(Activation),
        st.just(BatchNorm()),
        st.floats(0, 1, exclude_max=True).map(Dropout),
    )


def layers() -> st.SearchStrategy[Layer]:
    """Any layer that may stand anywhere; they need not fit each other."""
    features = st.one_of(st.just("classes"), st.integers(1, 1_000_000))
    return st.one_of(
        windowed(groups=4),
        elementwise(),
        st.sampled_from([Flatten(), GlobalAvgPool()]),
        st.builds(Linear, features, st.booleans()),
    )


def last_layers() -> st.SearchStrategy[Layer]:
    """The layers that may only stand at the end."""
    units = st.one_of(st.just("classes"), st.integers(1, 1_000_000))
    digits = st.sampled_from(["classes", 10]).map(lambda units: Rbf(units, digits=True))
    return st.one_of(st.just(Activation("softmax")), units.map(Rbf), digits)


def _bodies(children: st.SearchStrategy[Node]) -> st.SearchStrategy[tuple[Node, ...]]:
    return st.lists(children, min_size=1, max_size=4).map(tuple)


def _blocks(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    plain = st.one_of(
        _bodies(children).map(Group),
        st.builds(Residual, _bodies(children), st.one_of(st.none(), _bodies(children))),
    )
    return st.one_of(plain, st.builds(Repeat, st.integers(1, 3), plain))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network that can be written, whether or not its layers fit each other."""
    children = draw(_bodies(st.recursive(layers(), _blocks, max_leaves=8)))
    if draw(st.booleans()):
        children += (draw(last_layers()),)
    return Network(children)


@st.composite
def fitting_networks(draw: st.DrawFn) -> Network:
    """Networks that work on every input of at least 2x24x24, with two channels in and groups at most."""
    nodes: list[Node] = []
    for _ in range(draw(st.integers(1, 3))):
        channels = 2 * draw(st.integers(1, 3))
        kernel = draw(pairs(1, 3))
        groups = draw(st.sampled_from([1, 2]))
        nodes.append(Conv(channels, kernel, padding=draw(st.sampled_from(["same", "full"])), groups=groups))
        keeping = (Conv(channels, kernel, padding="same", bias=draw(st.booleans())), draw(elementwise()))
        stride = draw(st.integers(1, 2))
        shrinking = (Conv(channels, (3, 3), (stride, stride), (1, 1)), draw(elementwise()))
        nodes += draw(
            st.sampled_from(
                [
                    (Residual(keeping),),
                    (Residual(shrinking, (Conv(channels, (1, 1), (stride, stride)),)),),
                    (Repeat(2, Group(keeping)),),
                    (draw(pools()), draw(elementwise())),
                    (Subsample((1, 2)), Conv(3, kernel, padding="same", table=((0,), (0, 1), (1,))), Conv(2, (1, 1))),
                ]
            )
        )
    head: tuple[Node, ...] = (Flatten(), Linear(7), draw(elementwise()))
    nodes += draw(st.sampled_from([head, (GlobalAvgPool(),)]))
    return Network((*nodes, draw(st.sampled_from([Linear("classes"), Rbf("classes")]))))
