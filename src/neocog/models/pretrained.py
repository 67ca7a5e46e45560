"""Weights that were trained before, as the beginning of a network: all but its head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from neocog.data.source import Progress
from neocog.errors import WeightsError
from neocog.models import efficientnet, misfit
from neocog.models.pieces import CutNetwork, can_be_cut, head_start, pieces
from neocog.models.published import weights_path
from neocog.models.weights import adapt_first_conv, load_into, read_weights

IMAGENET = "imagenet"


def load_pretrained(network: nn.Module, name: str, source: str, *, progress: Progress | None = None) -> None:
    """Copy trained weights into all of `network` but its head, the last linear layer.

    `name` is the network's own name (for published weights), `source` "imagenet", a weights file or the folder of a
    run; its head may be any, as it is not read. A network that was cut takes the layers that it has. A first
    convolution for one channel gets the sum over the three of colour, and one for three a third of the one
    (`adapt_first_conv`). Raises `WeightsError` where the weights cannot be had or do not fit, and leaves the network as
    it was then.
    """
    file = weights_path(name, progress) if source == IMAGENET else local_weights(source)
    tensors, metadata = read_weights(file)
    tensors = body_tensors(network, tensors)
    heads = _heads(network)
    state = {key: value for key, value in network.state_dict().items() if not key.startswith(heads)}
    complaint = misfit.describe(str(file), state, tensors, misfit.PRETRAINED)
    if complaint:
        raise WeightsError("\n".join([complaint, *_stored_name(metadata)]))
    load_into(network, {**network.state_dict(), **tensors}, source=str(file))


def whole_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give published tensors under the names that they have in `network`."""
    if "conv_stem.weight" in network.state_dict():
        return efficientnet.renamed(tensors)
    return dict(tensors)


def body_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors for all but the head of `network`, under its names and for its number of channels."""
    heads = _heads(network)
    body = {key: value for key, value in whole_tensors(network, tensors).items() if not key.startswith(heads)}
    if isinstance(network, CutNetwork):
        body = {key: value for key, value in body.items() if key in network.state_dict()}
    first = next((name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)), None)
    stored = None if first is None else body.get(f"{first}.weight")
    if stored is None or stored.ndim != 4:
        return body
    channels = network.get_parameter(f"{first}.weight").shape[1]
    adapts = {stored.shape[1], channels} == {1, 3}
    return adapt_first_conv(body, f"{first}.weight", channels) if adapts else body


def _heads(network: nn.Module) -> tuple[str, ...]:
    """Give what the names of the head's tensors begin with."""
    if can_be_cut(network):
        row = pieces(network)
        return tuple(f"{name}." for name, _ in row[head_start(row) :])
    # Of a network in the user's own code nothing but the order of its parts is known.
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return (f"{linear[-1]}.",) if linear else ()


def local_weights(source: str) -> Path:
    """Give the weights file that `source`, a file or the folder of a run, stands for; `WeightsError` for neither."""
    path = Path(source).expanduser()
    if path.is_dir():
        from neocog.run import WEIGHTS, Run

        return Run(path).path / WEIGHTS
    if not path.exists() and path.suffix.lower() not in (".safetensors", ".pth", ".pt"):
        raise WeightsError(
            f"there are no weights {source!r}. Expected {IMAGENET!r}, a weights file (.pth or .safetensors), or the "
            "folder of a run, such as runs/mnist-001."
        )
    return path


def _stored_name(metadata: Mapping[str, str]) -> list[str]:
    """Say of which network a file is that neocog wrote."""
    try:
        network = str(json.loads(metadata["neocog"])["network"])
    except (KeyError, ValueError, TypeError):
        return []
    return [f"It was written by neocog for the network: {' '.join(network.split())}"]
