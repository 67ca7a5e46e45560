"""Why the tensors of a file do not fit a network, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import Tensor

_SHOWN = 5
# Counters of batch normalisation: older files lack them, and no prediction depends on them.
_OPTIONAL = "num_batches_tracked"
_ADVICE = "Build the network that the file was made with."

State: TypeAlias = Mapping[str, Tensor]


def describe(source: str, network: State, file: State) -> str | None:
    """Say what keeps the tensors of `file`, called `source`, from fitting the state dict of `network`.

    Lists what is missing, what is unexpected and what has another shape, and gives the likely reason. None
    where everything fits.
    """
    missing = [name for name in network if name not in file and not name.endswith(_OPTIONAL)]
    unexpected = [name for name in file if name not in network]
    reshaped = [name for name in network if name in file and not _fits(file[name], network[name])]
    if not (missing or unexpected or reshaped):
        return None
    forms = [f"{name}: {form(file[name])}, in the network {form(network[name])}" for name in reshaped]
    named = not (missing or unexpected)
    reason = _shape_reason(network, file, reshaped) if named else _naming_reason(network, file)
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


def _naming_reason(network: State, file: State) -> str:
    for shorter, longer, where in ((network, file, "file"), (file, network, "network")):
        prefix = _prefix(shorter, longer)
        if prefix:
            return f"The names are the same but for {prefix!r} before each in the {where}; rename them."
    common = len(network.keys() & file.keys())
    if not common:
        return f"No name is in both: the file is of another network. {_ADVICE}"
    return (
        f"{common} of the file's {len(file)} names are in the network: "
        f"it is of another network or another version. {_ADVICE}"
    )


def _prefix(shorter: State, longer: State) -> str | None:
    """Give what stands before every name of `shorter` in `longer`, if it is one and the same text."""
    probe = next(iter(shorter), "")
    for name in longer:
        prefix = name.removesuffix(probe)
        if prefix.endswith(".") and prefix != name and all(prefix + each in longer for each in shorter):
            return prefix
    return None


def _shape_reason(network: State, file: State, reshaped: Sequence[str]) -> str:
    weights = [name for name in network if network[name].ndim >= 2]
    first, last = (weights[0], weights[-1]) if weights else (reshaped[0], reshaped[0])
    stored, wanted = file[last].shape, network[last].shape
    if _layers(reshaped) == _layers([last]) and stored[1:] == wanted[1:]:
        return (
            f"The file was made for {stored[0]} classes, the network for {wanted[0]}. "
            f"Build it with num_classes={stored[0]}."
        )
    stored, wanted = file[first].shape, network[first].shape
    if reshaped == [first] and len(stored) == len(wanted) == 4 and stored[2:] == wanted[2:]:
        return (
            f"The file was made for images of {stored[1]} channels, the network for {wanted[1]}. "
            f"Build it with {stored[1]} channels, or convert the weights with adapt_first_conv."
        )
    pairs = [(file[name].shape, network[name].shape) for name in reshaped]
    if all(len(one) == len(other) == 2 and one[0] == other[0] for one, other in pairs):
        return "The file was made for images of another size. Build the network with that image size."
    return f"The file is of a network with the same names but other sizes. {_ADVICE}"


def _layers(names: Sequence[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in names}
