"""A network as a row of named pieces, each of which takes what the one before it gives: where it can be cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from neocog.errors import ModelError
from neocog.models.network import Chain, GlobalAverage, NotationNetwork, Row

Piece = tuple[str, nn.Module]


class Pieces(nn.Module):
    """Some pieces of a network in a row, as a module of their own; they are shared with the network, not copied.

    `names` are their names in the network.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self.names = tuple(name for name, _ in pieces)
        self.row = nn.ModuleList(module for _, module in pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Give what the last piece makes of `x`."""
        for module in self.row:
            x = module(x)
        return x


class CutNetwork(Row):
    """The first pieces of a network up to `layer`, then the mean of each channel and a new linear `head`.

    The pieces keep their names. Raises `ModelError` where the network cannot be cut there.
    """

    def __init__(self, network: nn.Module, layer: str, input_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        row = pieces(network)
        place = place_of(row, layer)
        for name, _ in row[place + 1 :]:
            _remove(network, name)
        for name, child in network.named_children():
            if any(True for _ in _taken_apart("", nn.Sequential(child))):
                self.add_module(name, child)
        shape = _output_shape(row[: place + 1], input_shape)
        self.pool = GlobalAverage() if len(shape) == 3 else nn.Flatten()
        self.head = nn.Linear(shape[0], num_classes)


# Their forward methods run their children in the order in which they are written, one after the other.
_IN_TURN = (nn.Sequential, Chain, NotationNetwork, Row)


def pieces(network: nn.Module) -> tuple[Piece, ...]:
    """Give the pieces of a network by name, such as `layer2.0`: run in their order they are its forward pass.

    Groups that only run their parts in turn are taken apart; a residual block is a piece. Raises `ModelError` for a
    network whose forward method may do something else: one of the user's own that is no `nn.Sequential`.
    """
    if not can_be_cut(network):
        raise ModelError(
            f"{type(network).__name__} cannot be cut: neocog knows the order of the parts of its own networks and of "
            "an nn.Sequential. Let your code give an nn.Sequential of its parts."
        )
    return tuple(_taken_apart("", network))


def can_be_cut(network: nn.Module) -> bool:
    """Whether `pieces` knows the network."""
    return any(type(network).forward is kind.forward for kind in _IN_TURN)


def head_start(row: Sequence[Piece]) -> int:
    """Give the place of the first piece of the head: the last linear layer, with the dropout right before it.

    Raises `ModelError` where the last piece with weights is not a linear layer.
    """
    trained = [place for place, (_, module) in enumerate(row) if any(True for _ in module.parameters())]
    if not trained or not isinstance(row[trained[-1]][1], nn.Linear):
        last = row[trained[-1]][0] if trained else "nothing"
        raise ModelError(
            f"the head of a network is its last linear layer, but the last layer with weights is {last}. "
            "End the network with 'linear classes'."
        )
    start = trained[-1]
    while start and isinstance(row[start - 1][1], nn.Dropout):
        start -= 1
    return start


def place_of(row: Sequence[Piece], layer: str) -> int:
    """Give the place of the piece called `layer`; raises `ModelError` with the names that there are."""
    for place, (name, _) in enumerate(row):
        if name == layer:
            return place
    inside = next((name for name, _ in row if layer.startswith(f"{name}.")), None)
    hint = f" {layer} lies within {inside}, which cannot be cut in two." if inside else ""
    raise ModelError(f"the network cannot be cut at {layer!r}.{hint} It can be cut at: {_few(row)}.")


def frozen_start(row: Sequence[Piece]) -> int:
    """Give how many of the first pieces give the same for the same images while the rest is trained.

    They have no weight that is trained, no dropout, and no statistics that go on without weights that could be frozen.
    """
    for place, (_, module) in enumerate(row):
        trained = any(parameter.requires_grad for parameter in module.parameters())
        if trained or any(map(_changes_in_training, module.modules())):
            return place
    return len(row)


def _changes_in_training(module: nn.Module) -> bool:
    """Whether a layer without weights that are trained gives something else in training than in evaluation."""
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return not module.affine
    return isinstance(module, nn.modules.dropout._DropoutNd)


def _taken_apart(scope: str, module: nn.Module) -> Iterator[Piece]:
    for name, child in module.named_children():
        if can_be_cut(child):
            yield from _taken_apart(f"{scope}{name}.", child)
        else:
            yield scope + name, child


def _remove(network: nn.Module, name: str) -> None:
    parent, _, last = name.rpartition(".")
    delattr(network.get_submodule(parent), last)


@torch.no_grad()
def _output_shape(row: Sequence[Piece], input_shape: Sequence[int]) -> tuple[int, ...]:
    """Give the shape, without the batch, of what the pieces make of an image."""
    front = Pieces(row)
    training = front.training
    weight = next(front.parameters(), torch.empty(0))
    shape = tuple(front.eval()(torch.zeros(1, *input_shape, device=weight.device)).shape[1:])
    front.train(training)
    return shape


def _few(row: Iterable[Piece]) -> str:
    return ", ".join(name for name, _ in row)
