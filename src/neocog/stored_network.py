"""The network of a run or of a weights file, as far as what stands beside the weights tells it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from neocog.errors import ModelError
from neocog.models import catalogue
from neocog.models.reference import PythonPath, resolve_stored
from neocog.notation import READERS, shape_text

# What can only be meant as a path: nothing in the notation looks like it.
_PATH = re.compile(r"\S*\.(safetensors|pth?)|[\w.~-]*(/[\w.+~-]+)+/?")


@dataclass(frozen=True)
class StoredNetwork:
    """The network that a run or a weights file is of.

    Attributes:
        model: its name, or its text in the notation.
        input_shape: the image that it takes, (channels, height, width).
        num_classes: how many classes it tells apart.
    """

    model: str
    input_shape: tuple[int, int, int]
    num_classes: int


def stored_network(text: str) -> StoredNetwork | None:
    """Give the network of the run folder or weights file that `text` is the path of; None where it is no path.

    Raises:
        RunError: a path at which there is neither.
        WeightsError: weights that cannot be read, or have nothing beside them that says of what network they are.
        ModelError: the network is the user's own code, which a file never gets to run.
    """
    if not _is_path(text):
        return None
    from neocog.classifier import metadata_of

    metadata = metadata_of(text)
    shape = (metadata.channels, *metadata.image_size)
    classes = len(metadata.classes)
    if isinstance(resolve_stored(metadata.network, text), PythonPath):
        raise ModelError(
            f"{text} is of a network in your own code, which is never imported by itself. If you trust it, name it: "
            f"neocog summary {metadata.network} --input {shape_text(shape)} --classes {classes}"
        )
    return StoredNetwork(metadata.network, shape, classes)


def _is_path(text: str) -> bool:
    if text in catalogue.names() or text in READERS or text.endswith(".py"):
        return False
    return os.path.exists(text) or bool(_PATH.fullmatch(text))  # noqa: PTH110  # a network may be too long for a path
