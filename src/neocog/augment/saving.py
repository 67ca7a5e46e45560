"""Augmented images written to disk: a new folder of images to train on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from neocog.augment import Augmentation
from neocog.augment.originals import Original, read
from neocog.data import Skipped
from neocog.data.decoding import to_picture
from neocog.data.names import normal
from neocog.data.source import Progress, Source, UInt8
from neocog.errors import DataError, RecipeError
from neocog.files import write_error
from neocog.settings import AugmentSettings, DataSettings
from neocog.training.keys import key

GROUPS = r"^(\d+)"
_FORBIDDEN = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')
_LONGEST = 180  # bytes of a name, of which file systems take 255
_FOLDERS = {"train": "train", "valid": "val", "test": "test"}
_PARTS = frozenset({"train", "val", "valid", "validation", "test"})


@dataclass(frozen=True)
class Saved:
    """What was written: `originals` images as they were, and `copies` changed ones.

    `skipped` could not be read. `renamed` are the classes whose names cannot be those of folders, with their folders.
    """

    folder: Path
    originals: int
    copies: int
    labelled: bool
    divided: bool
    skipped: tuple[Skipped, ...]
    renamed: dict[str, str]


def save_copies(
    source: Source,
    folder: Path,
    settings: AugmentSettings,
    *,
    copies: int,
    seed: int = 0,
    data: DataSettings | None = None,
    progress: Progress | None = None,
) -> Saved:
    """Write each training image and `copies` changes of it as PNG files: a new folder of images in class folders.

    A name begins with the number of the original, `00012-cat7.png` and `00012-cat7-copy1.png`, so that the pattern
    `GROUPS` keeps what belongs together in one part of a split. Validation and test images of the source are written
    unchanged beside the training images (`train`, `val`, `test`). Images without a label lie in the folder itself.
    The same seed gives the same files. Nothing is ever overwritten: raises `DataError` where `folder` has something in
    it, and `RecipeError` where the settings change nothing or mix images, which no single label would fit.
    """
    _check(settings, copies)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists already, and nothing is overwritten. Name a new folder.")
    names, labelled = _folder_names(source.classes), source.classes != ("",)
    divided = bool((source.parts != source.parts[0]).any()) if len(source) else False
    # a class called "test" would be taken for the test images
    in_parts = divided or any(name.casefold() in _PARTS for name in names)
    skipped, written = list[Skipped](), {"originals": 0, "copies": 0}
    for row in range(len(source)):
        part = str(source.parts[row])
        try:
            original = read(source, row, data or DataSettings())
        except DataError as error:
            skipped.append(Skipped(source.files[row] if source.files else str(row), str(error)))
            continue
        changes = _changes(original, settings, copies, seed) if not divided or part == "train" else []
        place = folder / _FOLDERS[part] if in_parts else folder
        try:
            _write(place / names[source.classes.index(original.label)], _name(source, row), original.pixels, changes)
        except OSError as error:
            raise write_error(place, error) from error
        written["originals"] += 1
        written["copies"] += len(changes)
        if progress is not None:
            progress("writing images", row + 1, len(source))
    if not written["originals"]:
        raise DataError(f"none of the {len(source)} images can be read. The first one: {skipped[0].reason}")
    renamed = {name: names[place] for place, name in enumerate(source.classes) if name and names[place] != name}
    return Saved(folder, written["originals"], written["copies"], labelled, divided, tuple(skipped), renamed)


def _check(settings: AugmentSettings, copies: int) -> None:
    if settings.mixup or settings.cutmix:
        raise RecipeError(
            "mixup and cutmix give an image two labels, and a file in a class folder has one. Leave them out here; in "
            "training they work."
        )
    if not settings.active:
        raise RecipeError("these settings change nothing, so the copies would all be the same. Ask for some change.")
    if copies < 1:
        raise RecipeError(f"--copies {copies}: expected the number of changes of each image, at least 1.")


def _changes(original: Original, settings: AugmentSettings, copies: int, seed: int) -> list[UInt8]:
    same = torch.from_numpy(original.pixels)[None].repeat(copies, 1, 1, 1)
    changed = Augmentation(settings, channels=same.shape[1])(same, seed=key(seed, "copies", original.row))
    return [image.numpy() for image in changed]


def _write(folder: Path, name: str, original: UInt8, changes: Sequence[UInt8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for ending, pixels in [("", original), *((f"-copy{number}", image) for number, image in enumerate(changes, 1))]:
        with (folder / f"{name}{ending}.png").open("xb") as file:
            to_picture(np.ascontiguousarray(pixels)).save(file, "PNG")


def _name(source: Source, row: int) -> str:
    number = f"{row + 1:0{max(5, len(str(len(source))))}d}"
    stem = "" if source.files is None else _safe(normal(Path(source.files[row]).stem))
    return f"{number}-{stem}" if stem else number


def _folder_names(classes: Sequence[str]) -> list[str]:
    """Give each class a folder that any system can make, no two alike; the class "" has none."""
    names = list[str]()
    for name in classes:
        chosen = _safe(name) or ("class" if name else "")
        while chosen and chosen.casefold() in {other.casefold() for other in names}:
            chosen += "-"
        names.append(chosen)
    return names


def _safe(name: str) -> str:
    cut = _FORBIDDEN.sub("-", name).encode("utf-8", "replace")[:_LONGEST]
    return cut.decode("utf-8", "ignore").strip(" .")
