"""Which layer and which of its values to look at, where the user leaves it open."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from neocog.errors import ModelError
from neocog.explain.finding import Place
from neocog.explain.forward import Call, Forward
from neocog.explain.pixel import check_place, shape_words, whole_numbers
from neocog.models.lenet import TableConv2d
from neocog.notation import shape_text


def choose_layer(forward: Forward, name: str | None) -> Call:
    """Give the call of the layer called `name`; left out, the first convolution, or else the first layer with weights.

    Raises `ModelError` naming the layers where there is none of that name.
    """
    if name is not None:
        return forward.find(name)
    layers = [call for call in forward.layers() if call.output is not None]
    convolutions = [call for call in layers if isinstance(call.module, nn.Conv2d | TableConv2d)]
    weighted = [call for call in layers if any(True for _ in call.module.parameters())]
    for found in (convolutions, weighted, layers):
        if found:
            return found[0]
    raise ModelError(f"{type(forward.network.module).__name__} has no layers to look into.")


def choose_place(call: Call, channel: int | None, at: int | Sequence[int] | None) -> Place:
    """Give the place of a value in the call's output: what was asked for, and else where the layer fired most.

    `channel` and `at` (row, column) are for maps; for a flat layer either is the number of a unit. Raises
    `ModelError` for what lies outside, with the range.
    """
    if call.output is None:
        raise ModelError(f"{call.name} gives no tensor, so there is no value to explain.")
    asked = () if at is None else whole_numbers(at)
    if len(call.shape) == 3:
        return _place_in_maps(call, channel, asked)
    if len(call.shape) == 1:
        return _unit(call, channel, asked)
    if channel is not None or not asked:
        sizes = shape_text(call.shape)
        raise ModelError(f"{call.name} gives {sizes}: say which value with at, {len(call.shape)} numbers.")
    return check_place(call, asked)


def _place_in_maps(call: Call, channel: int | None, asked: Place) -> Place:
    assert call.output is not None
    maps = call.output[0]
    if asked and len(asked) != 2:
        raise ModelError(
            f"{call.name} gives {shape_words(call.shape)}: at is a row and a column, such as 4,7, "
            f"not {','.join(map(str, asked))}."
        )
    if channel is None:
        if asked:
            check_place(call, (0, *asked))
            channel = int(maps[:, asked[0], asked[1]].argmax())
        else:
            channel = int(maps.clamp(min=0).mean((1, 2)).argmax())
    if not 0 <= channel < len(maps):
        raise ModelError(f"{call.name} gives {shape_words(call.shape)}: there is no channel {channel}.")
    if asked:
        return check_place(call, (channel, *asked))
    strongest = int(maps[channel].flatten().argmax())
    return channel, *divmod(strongest, maps.shape[2])


def _unit(call: Call, channel: int | None, asked: Place) -> Place:
    assert call.output is not None
    if len(asked) > 1 or (asked and channel is not None):
        raise ModelError(f"{call.name} is flat, {shape_words(call.shape)}: one number says which.")
    number = asked[0] if asked else channel
    return check_place(call, (int(call.output[0].argmax()) if number is None else number,))
