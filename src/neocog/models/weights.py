"""Weights from files into networks: tensors only, never code; all of them or none."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from torch import Tensor, nn

from neocog.errors import WeightsError
from neocog.models import misfit
from neocog.models.misfit import form, some

# Under these keys training scripts put the weights beside the epoch, the optimiser and the like.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# DataParallel and torch.compile put these before every name.
_PREFIXES = ("module.", "_orig_mod.")


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the metadata of a weights file.

    Takes safetensors and what `torch.save` writes (`.pth`, `.pt`); the content decides, not the suffix.
    Tensors are on the CPU, as they were stored; those of a `.pth` may be mapped from the file. A state dict
    inside `state_dict`, `model_state_dict` or `model` is unwrapped, and the prefixes `module.` and
    `_orig_mod.` are stripped. The metadata are those of safetensors, else empty. No code in a file is ever
    run. Raises `WeightsError` for a file that is missing, truncated, not a weights file, or that holds more
    than tensors.
    """
    path = Path(path)
    start = _start(path)
    if _is_safetensors(start):
        return _read_safetensors(path)
    is_zip = start.startswith(b"PK\x03\x04")
    if is_zip or start.startswith(b"\x80"):
        content = _read_torch(path, mmap=is_zip)
        return _without_prefixes(_state_dict(content, path)), {}
    raise WeightsError(
        f"{path} is not a weights file: {_looks_like(start)}. Expected safetensors or a PyTorch .pth file."
    )


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Copy `tensors` into `network`; names and shapes must all fit.

    Each tensor is converted to the dtype and device of its place. The counters `num_batches_tracked` may be
    missing, as they are in older files. Raises `WeightsError`, which names `source`, what is missing,
    unexpected or of another shape, and the likely reason; the network is unchanged then.
    """
    state = network.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        raise WeightsError(
            f"cannot load {source}: the network is on the device 'meta' and has no memory for weights. "
            "Call network.to_empty(device='cpu') first, or build it on another device."
        )
    complaint = misfit.describe(source, state, tensors)
    if complaint:
        raise WeightsError(complaint)
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)


def adapt_first_conv(tensors: Mapping[str, Tensor], name: str, channels: int) -> dict[str, Tensor]:
    """Give `tensors` with the convolution weight `name`, (out, in, kh, kw), made for 1 or 3 input `channels`.

    From 3 to 1 the weights are summed over the channels: a gray image then gives what its three equal
    channels gave. From 1 to 3 each channel gets a third. Other tensors are the same objects. Raises
    `WeightsError` where there is no such weight or the numbers of channels are others.
    """
    if name not in tensors:
        raise WeightsError(
            f"no tensor is called {name!r}; expected the weight of the first convolution. "
            f"There are {some(list(tensors))}."
        )
    weight = tensors[name]
    if weight.ndim != 4:
        raise WeightsError(f"expected {name} to be a convolution's weight (out, in, kh, kw); got {form(weight)}.")
    stored = weight.shape[1]
    if channels == stored:
        return dict(tensors)
    if (stored, channels) == (3, 1):
        adapted = weight.sum(1, keepdim=True)
    elif (stored, channels) == (1, 3):
        adapted = weight.expand(-1, 3, -1, -1) / 3
    else:
        raise WeightsError(
            f"{name} takes {stored} channels and cannot be adapted to {channels}; "
            "only 1 and 3 channels can be turned into each other."
        )
    return {**tensors, name: adapted}


def _start(path: Path) -> bytes:
    if path.is_dir():
        raise WeightsError(f"{path} is a folder; expected a weights file such as best.safetensors.")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {path}. Check the path.") from None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}.") from error
    if not start:
        raise WeightsError(f"{path} is empty. Copy or download it again.")
    return start


def _is_safetensors(start: bytes) -> bool:
    # Eight bytes with the length of the header, then the header: a JSON object.
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32


def _looks_like(start: bytes) -> str:
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    if start.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page; the download gave a page in place of the file"
    if start.startswith(b"\x89HDF"):
        return "it is an HDF5 file, as Keras writes them"
    return "its first bytes are of no known format"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
            return tensors, dict(file.metadata() or {})
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"cannot read {path}: the file is truncated or damaged ({error}). Copy or download it again."
        ) from error


def _read_torch(path: Path, *, mmap: bool) -> object:
    try:
        with warnings.catch_warnings():
            # PyTorch's remarks on old protocols of pickle say nothing that the errors below do not.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if _names_code(error):
            raise WeightsError(
                f"{path} holds more than tensors, and neocog runs no code from a file. Where you trust it, "
                "load it in PyTorch and save its tensors: torch.save(model.state_dict(), 'weights.pth')."
            ) from error
        raise _damaged(path) from error
    except Exception as error:
        # The reader of PyTorch answers a damaged file with errors of many kinds, among them those of pickle.
        if "TorchScript" in str(error):
            raise WeightsError(
                f"{path} is a TorchScript archive, which holds code. Save the tensors alone: "
                "torch.save(torch.jit.load(path).state_dict(), 'weights.pth')."
            ) from error
        raise _damaged(path) from error


def _names_code(error: pickle.UnpicklingError) -> bool:
    text = str(error)
    return any(sign in text for sign in ("Unsupported global", "Unsupported class", "allowlisted", "weights_only"))


def _damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"cannot read {path}: the file is truncated or is no PyTorch weights file. Copy or download it again."
    )


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """Find the state dict in what a file held."""
    depth = 0
    while isinstance(content, Mapping) and depth < len(_WRAPPERS):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content, depth = inner, depth + 1
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(
            f"{path} holds {_described(content)}, not a state dict. "
            "Save one with torch.save(model.state_dict(), 'weights.pth')."
        )
    others = [str(key) for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if others:
        raise WeightsError(
            f"{path} holds entries that are not tensors: {some(others)}. Save the state dict of the network alone."
        )
    return dict(content)


def _described(content: object) -> str:
    if isinstance(content, Mapping):
        return "nothing"
    return "a single tensor" if isinstance(content, Tensor) else f"a {type(content).__name__}"


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in tensors)), None)
    if prefix is None:
        return tensors
    return _without_prefixes({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
