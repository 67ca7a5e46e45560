"""A folder of images: root/<class>/… or root/{train,val,test}/<class>/…"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from neocog.data.imageset import Skipped
from neocog.data.listing import Listing
from neocog.data.names import normal, printable
from neocog.data.paths import entries, files_below, has_image_name
from neocog.data.source import Part, Source
from neocog.errors import DataError

_PARTS: dict[str, Part] = {
    "train": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
}
_LAYOUT = "Put the images of each class into a folder of its own: root/cats/1.jpg, root/dogs/2.jpg."


def folder_source(root: Path, groups: str | None = None, *, to_train: bool = True) -> Source:
    """The labelled files of the folder `root`; `groups` is a pattern on their names.

    Everything below a class folder belongs to the class. Hidden files and the litter of operating systems are
    passed over; other files that are not images are reported as skipped. Raises `DataError` where the layout
    is not one of the two, or there is only one class to train on.
    """
    reader = _Reader(root, to_train)
    parts = reader.part_folders()
    if parts is None:
        reader.read_part(root, "train")
    else:
        for part, folder in parts.items():
            reader.read_part(folder, part)
    return reader.files.source(
        printable(root.resolve().name) or str(root),
        classes=sorted(reader.classes),
        skipped=reader.skipped,
        notes=reader.notes,
        groups=groups,
    )


class _Reader:
    """What has been found so far in one folder."""

    def __init__(self, root: Path, to_train: bool) -> None:
        self.root, self.to_train = root, to_train
        self.files = Listing()
        self.classes: set[str] = set()
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []

    def part_folders(self) -> dict[Part, Path] | None:
        """The folder of each part, or None where the folders are the classes themselves."""
        folders = [path for path in self._entries(self.root) if path.is_dir()]
        named = [path for path in folders if path.name.casefold() in _PARTS]
        has_train = any(_PARTS[path.name.casefold()] == "train" for path in named)
        if not has_train and (not named or len(named) < len(folders)):
            return None
        if not has_train:
            names = ", ".join(path.name for path in named)
            raise DataError(
                f"{self.root} has {names}, but no train folder. Put the training images into {self.root / 'train'}."
            )
        found: dict[Part, Path] = {}
        for path in named:
            part = _PARTS[path.name.casefold()]
            if part in found:
                raise DataError(
                    f"{self.root} has both {found[part].name} and {path.name}: keep one, they mean the same part."
                )
            found[part] = path
        ignored = [printable(path.name) for path in folders if path not in named]
        if ignored:
            self.notes.append(
                f"beside {', '.join(path.name for path in named)}, these folders are not used: {', '.join(ignored)}."
            )
        if "test" in found and not any(path.is_dir() for path in self._entries(found["test"])):
            self.notes.append(f"{found['test']} has no class folders, so it cannot be used for testing.")
            del found["test"]
        return found

    def read_part(self, folder: Path, part: Part) -> None:
        """Add the files of each class folder in `folder`."""
        inside = self._entries(folder)
        classes = [path for path in inside if path.is_dir()]
        loose = [path for path in inside if not path.is_dir() and path.suffix and has_image_name(path)]
        if not classes:
            found = f"{len(loose)} images directly inside" if loose else "no folders inside"
            raise DataError(f"{folder} has {found}. {_LAYOUT}")
        self.skipped += [Skipped(printable(str(path)), "it lies outside the class folders") for path in loose]
        self._refuse_collisions(folder, classes)
        before = len(self.files)
        for path in classes:
            self._read_class(path, part)
        if len(self.files) == before:
            raise DataError(f"{folder} has {len(classes)} class folders, but no images in them. {_LAYOUT}")
        if len(classes) == 1 and part == "train" and self.to_train:
            self._refuse_single(classes[0])

    def _read_class(self, folder: Path, part: Part) -> None:
        label = normal(folder.name)
        self.classes.add(label)
        # a link to the whole folder would put the images of all classes into this one
        for path in files_below(folder, self._skip, links_up=False):
            if has_image_name(path):
                self.files.add(path, label, part)
            else:
                self._skip(path, f"not an image file ({path.suffix})")

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(printable(str(path)), reason))

    def _entries(self, folder: Path) -> list[Path]:
        try:
            return entries(folder)
        except OSError as error:
            raise DataError(f"cannot read the folder {folder}: {error.strerror or error}.") from error

    def _refuse_collisions(self, folder: Path, classes: Sequence[Path]) -> None:
        seen: dict[str, Path] = {}
        for path in classes:
            key = normal(normal(path.name).casefold())
            if key in seen:
                raise DataError(
                    f"{folder}: the class folders {printable(seen[key].name)!r} and "
                    f"{printable(path.name)!r} have the same name "
                    "but for capitals or the form of their Unicode letters. Join them or rename one."
                )
            seen[key] = path

    def _refuse_single(self, folder: Path) -> None:
        deeper = [path for path in self._entries(folder) if path.is_dir()]
        hint = f" Perhaps you mean {folder}, which has {len(deeper)} folders inside." if len(deeper) > 1 else ""
        raise DataError(
            f"{folder.parent} has only one class, {printable(folder.name)}; a classifier needs two or "
            f"more.{hint} {_LAYOUT}"
        )
