"""Where the layers of the modules that are known look at the image: chains and the named networks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from neocog.errors import NotationError
from neocog.models.efficientnet import EfficientNetLite, InvertedBottleneck
from neocog.models.layers import as_layer
from neocog.models.pieces import CutNetwork
from neocog.models.resnet import BasicBlock, Bottleneck, ResNet
from neocog.models.trace import TracedLayer
from neocog.models.vgg import VGG
from neocog.notation import GlobalAvgPool, Layer, Linear, Shape, SumShape, View
from neocog.notation.words.windowed import Windowed


@dataclass(frozen=True)
class Look:
    """How one call of a layer looks at the image.

    Attributes:
        name: the name of the module.
        layer: the word of the notation that computes the same; None where there is none.
        output_shape: what it gives, without the batch.
        view_in: how the units of its input look at the image; None where that differs from unit to unit.
        view_out: how those of its output do; None likewise.
        beside: whether it stands in the shortcut of a residual block.
    """

    name: str
    layer: Layer | None
    output_shape: Shape
    view_in: View | None
    view_out: View | None
    beside: bool


def located(
    model: nn.Module, input_shape: tuple[int, int, int], traced: Sequence[TracedLayer]
) -> list[tuple[TracedLayer, Look | None] | SumShape]:
    """Put beside each traced call of a layer how it looks at the image; None from the first that is not known.

    Known are chains of layers that the notation has a word for, and the named networks. The sums of residual blocks
    stand between the calls, where they are taken.
    """
    walk = _Walk(model)
    walk.whole(model, input_shape)
    looks, found = deque(walk.looks), list[tuple[TracedLayer, Look | None] | SumShape]()
    for call in traced:
        while looks and isinstance(looks[0], SumShape):
            found.append(looks.popleft())  # type: ignore[arg-type]  # just looked at
        look = looks.popleft() if looks else None
        if not isinstance(look, Look) or (look.name, look.output_shape) != (call.name, call.output_shape):
            # The module did something else than its kind does: nothing is known of what follows.
            look = None
            looks.clear()
        found.append((call, look))
    return found


class _UnknownError(Exception):
    """A module of which it is not known what it does with its parts."""


@dataclass(frozen=True)
class _At:
    """What has been reached: `even` says whether the view holds for each unit, or only for all of them together."""

    shape: Shape
    view: View
    last: str | None = None
    even: bool = True


class _Walk:
    """The calls of a model in forward order, as far as they are known."""

    def __init__(self, model: nn.Module) -> None:
        self.looks: list[Look | SumShape] = []
        self._names = {id(module): name or type(module).__name__ for name, module in model.named_modules()}
        self._beside = False

    def whole(self, model: nn.Module, input_shape: tuple[int, int, int]) -> None:
        try:
            self.through(model, _At(input_shape, View.of_image(input_shape[1:])))
        except (_UnknownError, NotationError):
            return

    def through(self, module: nn.Module, at: _At) -> _At:
        if "forward" in vars(module):
            raise _UnknownError
        if isinstance(module, nn.Sequential) and len(module) and type(module).forward is nn.Sequential.forward:
            return self.chain(*module, at=at)
        known = _KNOWN.get(type(module), _Walk.layer)
        return known(self, module, at)

    def chain(self, *modules: nn.Module, at: _At) -> _At:
        for module in modules:
            at = self.through(module, at)
        return at

    def layer(self, module: nn.Module, at: _At) -> _At:
        word = as_layer(module, at.shape)
        if word is None:
            return self._uneven(module, at)
        if isinstance(word, Windowed) and not at.even:
            raise _UnknownError
        even = at.even or isinstance(word, Linear | GlobalAvgPool)
        return self._add(module, word, at, _At(word.output_shape(at.shape), word.view(at.view, at.shape), even=even))

    def _uneven(self, module: nn.Module, at: _At) -> _At:
        """An adaptive pool whose windows differ from unit to unit; together they still see all that came."""
        if type(module) is not nn.AdaptiveAvgPool2d or len(at.shape) != 3:
            raise _UnknownError
        size = module.output_size if isinstance(module.output_size, tuple) else (module.output_size,) * 2
        height, width = (given if wanted is None else wanted for wanted, given in zip(size, at.shape[1:], strict=True))
        after = _At((at.shape[0], height, width), at.view, even=False)
        # The copies of a single point do not differ.
        return self._add(module, None, at, after, known=at.even and at.shape[1:] == (1, 1))

    def _add(self, module: nn.Module, word: Layer | None, at: _At, after: _At, *, known: bool = False) -> _At:
        name = self._names[id(module)]
        views = at.view if at.even else None, after.view if after.even or known else None
        self.looks.append(Look(name, word, after.shape, *views, self._beside))
        return _At(after.shape, after.view, name, after.even)

    def in_turn(self, net: ResNet | VGG | EfficientNetLite | CutNetwork, at: _At) -> _At:
        return self.chain(*net.children(), at=at)

    def basic_block(self, block: BasicBlock, at: _At) -> _At:
        return self._residual(block, at, block.conv1, block.bn1, block.relu, block.conv2, block.bn2)

    def bottleneck(self, block: Bottleneck, at: _At) -> _At:
        first = (block.conv1, block.bn1, block.relu, block.conv2, block.bn2, block.relu)
        return self._residual(block, at, *first, block.conv3, block.bn3)

    def inverted_bottleneck(self, block: InvertedBottleneck, at: _At) -> _At:
        first = (block.expand_conv, block.bn0, block.relu6) if block.expands else ()
        layers = (*first, block.depthwise_conv, block.bn1, block.relu6, block.project_conv, block.bn2)
        body = self.chain(*layers, at=at)
        return self._sum(block, body, at, None) if block.adds_input else body

    def _residual(self, block: BasicBlock | Bottleneck, at: _At, *layers: nn.Module) -> _At:
        beside = at
        if block.downsample is not None:
            self._beside = True
            beside = self.through(block.downsample, at)
            self._beside = False
        body = self.chain(*layers, at=at)
        shortcut = None if block.downsample is None else beside.last
        return self.through(block.relu, self._sum(block, body, beside, shortcut))

    def _sum(self, block: nn.Module, body: _At, beside: _At, shortcut: str | None) -> _At:
        if body.last is None or body.shape != beside.shape or not (body.even and beside.even):
            raise _UnknownError
        both = body.view.beside(beside.view)
        name = self._names[id(block)]
        self.looks.append(SumShape(name, body.last, shortcut, body.shape, body.view, beside.view, both))
        return _At(body.shape, both, name)


_KNOWN: dict[type[nn.Module], Callable[[_Walk, Any, _At], _At]] = {
    ResNet: _Walk.in_turn,
    VGG: _Walk.in_turn,
    EfficientNetLite: _Walk.in_turn,
    CutNetwork: _Walk.in_turn,
    BasicBlock: _Walk.basic_block,
    Bottleneck: _Walk.bottleneck,
    InvertedBottleneck: _Walk.inverted_bottleneck,
}
