"""What the notation of a network says of its layers, as long as they are still what it says."""

from __future__ import annotations

from neocog.explain.finding import Place
from neocog.explain.forward import Call, Forward
from neocog.models.network import NotationNetwork
from neocog.notation import LayerShape, parse


def written_layers(forward: Forward) -> dict[str, LayerShape]:
    """Give the layers of a recorded network as its notation has them, by name.

    Empty for a network that is not in the notation, or one whose layers were exchanged after it was built.
    """
    network = forward.network.module
    if not isinstance(network, NotationNetwork):
        return {}
    layers = parse(network.notation).shapes(tuple(forward.image.shape[1:]), network.num_classes)
    written = {layer.name: (layer.output_shape, dict(layer.parameter_shapes)) for layer in layers}
    if written != {call.name: _is(call) for call in forward.layers()}:
        return {}
    return {layer.name: layer for layer in layers}


def _is(call: Call) -> tuple[Place, dict[str, Place]]:
    parameters = call.module.named_parameters(recurse=False)
    return call.shape, {name: tuple(parameter.shape) for name, parameter in parameters}
