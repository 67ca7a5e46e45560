"""The layers of any module with their arithmetic written out, as far as the notation has a word for them."""

from __future__ import annotations

from math import prod

from torch import nn

from neocog.errors import NotationError
from neocog.models.layers import as_layer
from neocog.models.network import NotationNetwork
from neocog.models.trace import TracedLayer, trace
from neocog.models.views import Look, located
from neocog.models.wordless import WORDLESS
from neocog.notation import Layer, LayerShape, SumShape, field_text, parse, shape_text, why
from neocog.notation.why import field_reason, titled, why_and_note


def module_layers(model: nn.Module, input_shape: tuple[int, int, int]) -> list[tuple[str, str]]:
    """Write out each layer that one image of `input_shape` (C, H, W) passes: (name, text) in forward order.

    The sum at the end of a residual block that is known stands there under the name of the block. A layer has its
    receptive field where that is known: where it is what the notation of its network says, and in a module whose
    layers `located` knows. Raises `ModelError` as `trace` does.
    """
    traced = trace(model, input_shape)
    if isinstance(model, NotationNetwork):
        return _written(model, input_shape, traced)
    texts = []
    for item in located(model, input_shape, traced):
        if isinstance(item, SumShape):
            texts.append((item.name, why(item)))
        else:
            call, look = item
            texts.append((call.name, _text(call, _submodule(model, call.name), look)))
    return texts


def _written(
    model: NotationNetwork, input_shape: tuple[int, int, int], traced: list[TracedLayer]
) -> list[tuple[str, str]]:
    known: dict[str, LayerShape] = {}
    sums: dict[str, list[SumShape]] = {}
    last = ""
    for part in parse(model.notation).parts(input_shape, model.num_classes):
        if isinstance(part, LayerShape):
            known[part.name], last = part, part.name
        else:
            sums.setdefault(last, []).append(part)
    texts = []
    for call in traced:
        layer = known.get(call.name)
        text = (
            why_and_note(layer) if layer and call.is_still(layer) else _text(call, _submodule(model, call.name), None)
        )
        texts += [(call.name, text), *((found.name, why(found)) for found in sums.get(call.name, []))]
    return texts


def _submodule(model: nn.Module, name: str) -> nn.Module | None:
    # A model that is a layer itself is traced under the name of its class.
    return dict(model.named_modules()).get(name)


def _text(traced: TracedLayer, module: nn.Module | None, look: Look | None) -> str:
    came, made = traced.input_shape, traced.output_shape
    title = traced.text
    lines = [("input", "not called as a layer" if came is None else shape_text(came))]
    note = None
    layer = None if module is None else as_layer(module, came)
    if layer is None or came is None or made is None or not _computes(layer, traced):
        lines += [
            ("output", "none" if made is None else shape_text(made)),
            ("parameters", _parameters(traced, module)),
            ("MACs", f"{traced.macs:,}" if traced.macs else "not counted" if traced.parameters else "none"),
            *_field(look),
        ]
    else:
        # The word has all settings in it, and reads the same with every version of torch.
        title, reason = type(module).__name__, layer.reason(came)
        # A shortcut may leave out what the body beside it sees.
        note = None if look is not None and look.beside else layer.note(came)
        lines += [
            *([] if isinstance(layer, WORDLESS) else [("notation", str(layer))]),
            ("output", reason.output),
            ("parameters", reason.parameters or "none"),
            ("MACs", reason.macs or "none"),
            *_field(look),
            *(("also", text) for text in reason.notes),
        ]
    text = titled(f"{traced.name}: {title}", lines)
    return f"{text}\n{note}" if note else text


def _field(look: Look | None) -> list[tuple[str, str]]:
    if look is None:
        return []
    if look.view_out is None:
        return [("receptive field", "differs from unit to unit")]
    if look.layer is None or look.view_in is None:
        return [("receptive field", field_text(look.view_out))]
    return field_reason(look.layer, look.view_in, look.view_out)


def _computes(layer: Layer, traced: TracedLayer) -> bool:
    """Whether the word gives the numbers that were traced; a module may have been changed since it was made."""
    came = traced.input_shape or ()
    try:
        found = (layer.output_shape(came), sum(map(prod, layer.parameter_shapes(came).values())), layer.macs(came))
    except NotationError:
        return False
    # A layer that is called again has been counted already.
    return found == (traced.output_shape, traced.parameters or found[1], traced.macs)


def _parameters(traced: TracedLayer, module: nn.Module | None) -> str:
    own = [] if module is None else list(module.named_parameters(recurse=False))
    if not traced.parameters or not own:
        return f"{traced.parameters:,}" if traced.parameters else "none"
    return ", ".join(f"{name} {shape_text(tuple(p.shape))} = {p.numel():,}" for name, p in own)
