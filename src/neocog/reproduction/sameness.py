"""Whether a run was trained by a recipe as it is now, whatever machine it ran on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neocog.recipe import Recipe

# They decide how fast a training is, and the last bits; never what is trained.
_HARDWARE = {"train.device", "train.threads", "train.memory_format", "train.kernels"}
_HARDWARE |= {"train.checkpoint_seconds", "data.cache"}
# A run has these written out where the recipe leaves them open.
_LEFT_OPEN = {"data.image_size", "data.channels", "data.mean", "data.std", "train.precision"}


def differences(recipe: Recipe, effective: Recipe) -> list[str]:
    """List what a run's effective recipe does otherwise than `recipe` says; empty where they mean the same.

    Keys of the hardware do not count, and neither does what `recipe` leaves to be chosen.
    """
    wanted, there = _keys(recipe), _keys(effective)
    found = []
    for key in sorted(set(wanted) | set(there)):
        left_open = key in _LEFT_OPEN and wanted.get(key) in (None, "auto")
        if key not in _HARDWARE and not left_open and wanted.get(key) != there.get(key):
            found.append(f"{key} = {_shown(there.get(key))} there, {_shown(wanted.get(key))} in the recipe")
    return found


def _keys(recipe: Recipe) -> dict[str, Any]:
    tables = recipe.model_dump(exclude={"description"})
    keys: dict[str, Any] = {}
    for table, values in tables.items():
        if isinstance(values, dict):
            keys |= {f"{table}.{key}": value for key, value in values.items()}
        else:
            keys[table] = values
    # The path of a folder is absolute in a run.
    source = Path(keys["data.source"])
    keys["data.source"] = str(source.resolve()) if source.exists() else str(source)
    # What is left out where no weights are begun with.
    for key, usual in (("data.mean", [0.0]), ("data.std", [1.0])):
        if keys[key] is None and not keys["model.pretrained"]:
            keys[key] = usual
    keys["model.network"] = keys["model.network"].strip()
    return keys


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
