"""Why the tensors of a file do not fit a network, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

_SHOWN = 5
# Counters of batch normalisation: older files lack them, and no prediction depends on them.
_OPTIONAL = "num_batches_tracked"

State: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Advice:
    """What to do where a file is of another network, for images of another size, or of so many other channels.

    In `network`, `{}` stands for the name of the network, where the file is of one with a name.
    """

    network: str
    unknown_network: str
    image_size: str
    channels: str


WHOLE = Advice(
    network="These are the tensors of {}: build that network.",
    unknown_network="Build the network that the file was made with.",
    image_size="Build the network with that image size.",
    channels="Build it with {} channels, or convert the weights with adapt_first_conv.",
)
PRETRAINED = Advice(
    network="These are the tensors of {0}: train that network (model.network = '{0}'), or take weights of this one.",
    unknown_network="Train the network that the file was made with, or take weights of this one.",
    image_size="Train at that size (data.image_size), or take a network that pools the whole map before its linear "
    "layers.",
    channels="Only 1 and 3 channels can be turned into each other; take other weights.",
)


def describe(source: str, network: State, file: State, advice: Advice = WHOLE) -> str | None:
    """Say what keeps the tensors of `file`, called `source`, from fitting the state dict of `network`.

    Lists what is missing, what is unexpected and what has another shape, and gives the likely reason and the `advice`
    that goes with it. None where everything fits.
    """
    missing = [name for name in network if name not in file and not name.endswith(_OPTIONAL)]
    unexpected = [name for name in file if name not in network]
    reshaped = [name for name in network if name in file and not _fits(file[name], network[name])]
    if not (missing or unexpected or reshaped):
        return None
    forms = [f"{name}: {form(file[name])}, in the network {form(network[name])}" for name in reshaped]
    named = not (missing or unexpected)
    reason = _shape_reason(network, file, reshaped, advice) if named else _naming_reason(network, file, advice)
    return "\n".join(
        [
            f"{source} does not fit the network:",
            *_listed("missing in the file", missing),
            *_listed("not in the network", unexpected),
            *_listed("of another shape", forms),
            reason,
        ]
    )


def form(tensor: Tensor) -> str:
    """Write the shape of a tensor, and its dtype where that is not a floating one."""
    shape = "x".join(map(str, tensor.shape)) or "a single number"
    return shape if tensor.is_floating_point() else f"{shape} ({str(tensor.dtype).removeprefix('torch.')})"


def some(names: Sequence[str]) -> str:
    """Write the first names of a list, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _fits(tensor: Tensor, place: Tensor) -> bool:
    return tensor.shape == place.shape and tensor.is_floating_point() == place.is_floating_point()


def _listed(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    rest = len(names) - _SHOWN
    lines = [f"  {what} ({len(names)}):", *(f"    {name}" for name in names[:_SHOWN])]
    return [*lines, f"    and {rest} more"] if rest > 0 else lines


def _naming_reason(network: State, file: State, advice: Advice) -> str:
    for shorter, longer, where in ((network, file, "file"), (file, network, "network")):
        prefix = _prefix(shorter, longer)
        if prefix:
            return f"The names are the same but for {prefix!r} before each in the {where}; rename them."
    common = len(network.keys() & file.keys())
    if not common:
        return f"No name is in both: the file is of another network. {_other(file, advice)}"
    return (
        f"{common} of the file's {len(file)} names are in the network: "
        f"it is of another network or another version. {_other(file, advice)}"
    )


def _other(file: State, advice: Advice) -> str:
    name = _network_of(file)
    return advice.unknown_network if name is None else advice.network.format(name)


def _network_of(file: State) -> str | None:
    """Give the name of the network with published weights that the tensors are of, whatever their head."""
    from neocog.models import build
    from neocog.models.published import published_names

    found = {name.removeprefix("_").replace("._", "."): tensor.shape for name, tensor in file.items()}
    fits: dict[int, str] = {}
    for name in published_names():
        with torch.device("meta"):
            state = build(name, (3, 224, 224), 2).state_dict()
        # The last two are the weight and bias of the head.
        body = [key for key in state if not key.endswith(_OPTIONAL)][:-2]
        if all(found.get(key) == state[key].shape for key in body):
            fits[len(body)] = name
    # The tensors of resnet18 are among those of resnet34.
    return fits[max(fits)] if fits else None


def _prefix(shorter: State, longer: State) -> str | None:
    """Give what stands before every name of `shorter` in `longer`, if it is one and the same text."""
    probe = next(iter(shorter), "")
    for name in longer:
        prefix = name.removesuffix(probe)
        if prefix.endswith(".") and prefix != name and all(prefix + each in longer for each in shorter):
            return prefix
    return None


def _shape_reason(network: State, file: State, reshaped: Sequence[str], advice: Advice) -> str:
    weights = [name for name in network if network[name].ndim >= 2]
    first, last = (weights[0], weights[-1]) if weights else (reshaped[0], reshaped[0])
    stored, wanted = file[last].shape, network[last].shape
    if advice is WHOLE and _layers(reshaped) == _layers([last]) and stored[1:] == wanted[1:]:
        return (
            f"The file was made for {stored[0]} classes, the network for {wanted[0]}. "
            f"Build it with num_classes={stored[0]}."
        )
    stored, wanted = file[first].shape, network[first].shape
    if reshaped == [first] and len(stored) == len(wanted) == 4 and stored[2:] == wanted[2:]:
        return (
            f"The file was made for images of {stored[1]} channels, the network for {wanted[1]}. "
            f"{advice.channels.format(stored[1])}"
        )
    pairs = [(file[name].shape, network[name].shape) for name in reshaped]
    if all(len(one) == len(other) == 2 and one[0] == other[0] for one, other in pairs):
        return f"The file was made for images of another size. {advice.image_size}"
    return f"The file is of a network with the same names but other sizes. {_other(file, advice)}"


def _layers(names: Sequence[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in names}
