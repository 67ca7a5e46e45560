"""A network as a tree: layers, groups, repeats, residual blocks; its canonical text and its names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from neocog.errors import NotationError
from neocog.notation.words.activation import Activation
from neocog.notation.words.base import Layer, need_number
from neocog.notation.words.dense import Flatten
from neocog.notation.words.pool import AvgPool, GlobalAvgPool, MaxPool
from neocog.notation.words.rbf import Rbf
from neocog.notation.words.subsample import Subsample

if TYPE_CHECKING:
    from neocog.notation.shapes import LayerShape, SumShape

# Far beyond any network that trains, and small enough for every walk to be instant and shallow.
MOST_LAYERS = 10_000
DEEPEST_NESTING = 32

_NOT_EMPTY = "{what} is empty; write at least one layer, for example 'conv 8 3x3 same | relu'."


@dataclass(frozen=True)
class Group:
    """Layers in brackets: one block, with names of its own."""

    children: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.children:
            raise NotationError(_NOT_EMPTY.format(what="a group '(...)'"))

    def __str__(self) -> str:
        return f"({_joined(self.children)})"


@dataclass(frozen=True)
class Residual:
    """A body whose output is added to what the shortcut makes of the same input.

    `shortcut` is None where the input itself is added.
    """

    body: tuple[Node, ...]
    shortcut: tuple[Node, ...] | None = None

    def __post_init__(self) -> None:
        if not self.body:
            raise NotationError(_NOT_EMPTY.format(what="the body of 'residual(...)'"))
        if self.shortcut is not None and not self.shortcut:
            raise NotationError(
                "the shortcut after ';' is empty; leave out the ';' to add the input itself, "
                "or write one, for example 'conv 8 1x1'."
            )

    def __str__(self) -> str:
        shortcut = "" if self.shortcut is None else f" ; {_joined(self.shortcut)}"
        return f"residual({_joined(self.body)}{shortcut})"


@dataclass(frozen=True)
class Repeat:
    """`count` copies of a group or residual block in a row, each a block with parameters of its own."""

    count: int
    child: Group | Residual

    def __post_init__(self) -> None:
        need_number("the number of repeats", self.count, 1)

    def __str__(self) -> str:
        return f"{self.count} * {self.child}"


Node: TypeAlias = Layer | Group | Repeat | Residual


@dataclass(frozen=True)
class Block:
    """A named block of the expanded network: a group, one copy of a repeat, or a residual block.

    Attributes:
        children: (local name, layer or block) in forward order; for a residual block its body.
        shortcut: the same for the shortcut of a residual block; None where the input itself is added, and for
            a group. The names in it live in the scope `shortcut` of the block.
        residual: whether the output is the body's plus the shortcut's.
    """

    children: tuple[tuple[str, Layer | Block], ...]
    shortcut: tuple[tuple[str, Layer | Block], ...] | None = None
    residual: bool = False


Tree: TypeAlias = tuple[tuple[str, Layer | Block], ...]


@dataclass(frozen=True)
class Network:
    """A network as its notation has it. `str()` gives the canonical text, which parses to an equal network.

    Raises:
        NotationError: no layer, too many, nested too deeply, or a `softmax` or `rbf` that is not the last layer.
    """

    children: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.children:
            raise NotationError(
                "the network is empty; write at least one layer, for example 'flatten | linear classes'."
            )
        if _depth(self.children) > DEEPEST_NESTING:
            raise NotationError(f"brackets are nested more than {DEEPEST_NESTING} deep; write the inner ones out.")
        layers = count_layers(self.children)
        if layers > MOST_LAYERS:
            raise NotationError(f"the network has {layers:,} layers; at most {MOST_LAYERS:,} are allowed.")
        _check_last(self.children)

    def __str__(self) -> str:
        return _joined(self.children)

    def text(self, *, lines: bool = False) -> str:
        """The canonical text; with `lines`, one stage a line, broken after each pool, `flatten` and block."""
        if not lines:
            return str(self)
        stages: list[list[Node]] = [[]]
        for node in self.children:
            alone = not isinstance(node, Layer)
            if alone and stages[-1]:
                stages.append([])
            stages[-1].append(node)
            if alone or isinstance(node, MaxPool | AvgPool | GlobalAvgPool | Subsample | Flatten):
                stages.append([])
        return "\n".join(_joined(stage) for stage in stages if stage)

    def tree(self) -> Tree:
        """The expanded network as (local name, layer or block), in forward order.

        A layer's name is its kind and a running number in its scope (`conv1`, `relu1`, `pool1`); every group,
        copy of a repeat and residual block is `block1`, `block2`, ... in its scope. Joined with dots, names
        are the keys of the state dict; they are part of the file format.
        """
        return _named(self.children)

    def named_layers(self) -> list[tuple[str, Layer]]:
        """All layers as (full name, layer), in forward order; of a residual block the body comes first."""
        return list(walk(self.tree()))

    def shapes(self, input_shape: Sequence[int], num_classes: int | None = None) -> list[LayerShape]:
        """Work out shapes, parameters, MACs and receptive fields, in the order of `named_layers`.

        Args:
            input_shape: one image as (channels, height, width).
            num_classes: what `linear classes` stands for. If given, the network must end in as many values.

        Raises:
            NotationError: a layer does not fit what reaches it, or the network does not fit the classes.
        """
        # Here and not above: the walk over the shapes is written in terms of this module's tree.
        from neocog.notation.shapes import shapes

        return shapes(self, input_shape, num_classes)

    def parts(self, input_shape: Sequence[int], num_classes: int | None = None) -> list[LayerShape | SumShape]:
        """Work out the layers as `shapes` does, and behind those of each residual block the sum that it ends in.

        Raises:
            NotationError: as `shapes`.
        """
        from neocog.notation.shapes import parts

        return parts(self, input_shape, num_classes)


def count_layers(nodes: Sequence[Node]) -> int:
    """How many layers there are once all repeats are written out."""
    total = 0
    for node in nodes:
        if isinstance(node, Layer):
            total += 1
        elif isinstance(node, Repeat):
            total += node.count * count_layers((node.child,))
        elif isinstance(node, Group):
            total += count_layers(node.children)
        else:
            total += count_layers(node.body) + count_layers(node.shortcut or ())
    return total


def walk(tree: Tree, scope: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield (full name, layer) of a tree, in forward order; of a residual block the body comes first."""
    for name, item in tree:
        if isinstance(item, Layer):
            yield scope + name, item
        else:
            yield from walk(item.children, f"{scope}{name}.")
            yield from walk(item.shortcut or (), f"{scope}{name}.shortcut.")


def _joined(nodes: Sequence[Node]) -> str:
    return " | ".join(map(str, nodes))


def _named(nodes: Sequence[Node]) -> Tree:
    numbers: dict[str, int] = {}

    def name(stem: str) -> str:
        numbers[stem] = numbers.get(stem, 0) + 1
        return f"{stem}{numbers[stem]}"

    named: list[tuple[str, Layer | Block]] = []
    for node in nodes:
        if isinstance(node, Layer):
            named.append((name(node.stem), node))
        elif isinstance(node, Repeat):
            block = _block(node.child)
            named += [(name("block"), block) for _ in range(node.count)]
        else:
            named.append((name("block"), _block(node)))
    return tuple(named)


def _block(node: Group | Residual) -> Block:
    if isinstance(node, Group):
        return Block(_named(node.children))
    shortcut = None if node.shortcut is None else _named(node.shortcut)
    return Block(_named(node.body), shortcut, residual=True)


def _inner(node: Node) -> tuple[Node, ...]:
    match node:
        case Group(children):
            return children
        case Repeat(_, child):
            # The brackets of the copied block are the repeat's own.
            return _inner(child)
        case Residual(body, shortcut):
            return body + (shortcut or ())
    return ()


def _depth(nodes: tuple[Node, ...]) -> int:
    depth = 0
    while nodes := tuple(child for node in nodes for child in _inner(node)):
        depth += 1
    return depth


def _check_last(nodes: tuple[Node, ...]) -> None:
    last = nodes[-1]
    pending = list(nodes[:-1] if isinstance(last, Layer) else nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, Activation) and node.kind == "softmax":
            raise NotationError(
                "softmax may only be the last layer of the network, outside of all brackets: "
                "training uses the scores before it.\nFor an activation between layers write 'relu'."
            )
        if isinstance(node, Rbf):
            raise NotationError(
                "rbf may only be the last layer of the network, outside of all brackets: what it gives are the scores "
                "of the classes.\nPut it at the end, with nothing after it; the softmax of them is taken in any case."
            )
        pending.extend(_inner(node))
