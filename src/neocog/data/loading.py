"""From `[data]` to a DataSet: find the source, decode it, divide it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from neocog.data import registry
from neocog.data.cifar import cifar_source
from neocog.data.digits import digits_source
from neocog.data.file_names import chosen
from neocog.data.file_pixels import FilePixels
from neocog.data.folder import folder_source
from neocog.data.geometry import Geometry
from neocog.data.idx import idx_source, is_idx_folder
from neocog.data.imageset import DataSet, ImageSet, Skipped
from neocog.data.memory import available_memory
from neocog.data.names import normal
from neocog.data.packaged import packaged_source
from neocog.data.skip_list import without_listed
from neocog.data.source import Int64, Progress, Source
from neocog.data.split import Division, divide
from neocog.data.store import stored_images
from neocog.data.table import table_source
from neocog.data.twins import group_numbers, notes_on, twins
from neocog.errors import DataError
from neocog.recipe import DataSettings

# up to here a common size of all images is kept; above it they become 64x64 unless a size is given
_LARGEST_NATIVE = 128
_DEFAULT_SIZE = (64, 64)
# of the memory that is free, the share that decoded images may take, and the most they may take at all
_MEMORY_SHARE = 4
_MEMORY_MOST = 8 * 2**30
_LISTED = 10


def load(settings: DataSettings, *, progress: Progress | None = None) -> DataSet:
    """Load, decode and divide the data set that `settings` describe.

    Sets that fit live in memory; larger sets of files are decoded into a file under the data folder, once,
    and mapped into memory (`settings.cache` decides otherwise; built-in sets always live in memory). Files
    that cannot be read are left out and reported, unless `settings.strict`. `progress(what, done, total)` is
    called now and then. Raises `DataError` where the data cannot be used.
    """
    source = find_source(settings.source, groups=settings.groups, skip_list=settings.skip_list, progress=progress)
    geometry = choose_geometry(source, settings, progress)
    if isinstance(source.pixels, FilePixels) and _on_disk(settings, len(source) * geometry.image_bytes):
        return _load_to_disk(source, source.pixels.paths, geometry, settings, progress)
    return _load_to_memory(source, geometry, settings, progress)


def load_images(
    source: str,
    geometry: Geometry,
    classes: Sequence[str],
    *,
    split: Literal["train", "valid", "test", "all"] | None = None,
    progress: Progress | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
) -> ImageSet:
    """Labelled images in memory for a classifier with these `classes`, numbered in their order.

    `source` is the name of a data set, a folder or a CSV file. `split` is the part to take: left out, the
    test images if there are some, otherwise the validation images, otherwise all. Images may lack some of the
    classes; a class that the classifier does not know is a `DataError`. `on_skip` hears of each file that is
    left out.
    """
    found = find_source(source, progress=progress, to_train=False)
    rows = _part(found, split)
    known = {normal(name): place for place, name in enumerate(classes)}
    unknown = [found.classes[label] for label in np.unique(found.labels[rows]) if found.classes[label] not in known]
    if unknown:
        raise DataError(
            f"{found.name} has classes that the classifier does not know: {_few(unknown)}. It knows: "
            f"{_few(list(classes))}. "
            "Rename the class folders or labels as the classifier calls them, or take these images out."
        )
    wanted = found.only(rows)
    images = np.empty((len(wanted), *geometry.shape), np.uint8)
    kept, bad = wanted.pixels.read(geometry, images, progress)
    readable = wanted.readable(kept, bad)
    if on_skip is not None:
        for skipped in readable.skipped:
            on_skip(skipped)
    renumber = np.array([known.get(name, -1) for name in found.classes], np.int64)
    labels = torch.from_numpy(renumber[readable.labels])
    return ImageSet(torch.from_numpy(images[: len(kept)]), labels, tuple(classes), readable.files)


def find_source(
    name: str,
    *,
    groups: str | None = None,
    skip_list: str | None = None,
    progress: Progress | None = None,
    to_train: bool = True,
) -> Source:
    """The source called `name`: a data set known by name, so that a recipe means the same everywhere, or a path.

    `groups` is the pattern or column of `[data]`; `skip_list` is a file that names images to leave out. A folder with
    a single class will do unless it is `to_train`. Raises `DataError` where there is none, or it has no groups, or
    the list does not fit.
    """
    if not name.strip():
        raise DataError("no data set is given: name one, such as mnist, or give the path of a folder of images.")
    path = Path(name).expanduser()
    entry = registry.find(name)
    if entry is not None:
        source = _named(entry, progress)
        if path.exists():
            note = f"{name} is the data set of that name; for what lies at {path.absolute()} write ./{name}."
            source = replace(source, notes=(*source.notes, note))
    elif path.is_dir():
        source = idx_source(path) if is_idx_folder(path) else folder_source(path, groups, to_train=to_train)
    elif path.is_file():
        if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
            raise DataError(
                f"{path} is neither a folder nor a CSV file. Give a folder of images, or a list path,label as .csv."
            )
        source = table_source(path, groups)
    else:
        raise registry.unknown(name)
    if groups is not None and source.groups is None:
        raise DataError(
            f"groups = {groups!r} needs files with names or a CSV column; {source.name} has neither. Leave groups out."
        )
    if skip_list is not None:
        source = without_listed(source, path if path.is_dir() else path.parent, Path(skip_list).expanduser())
    return source


def choose_geometry(source: Source, settings: DataSettings, progress: Progress | None = None) -> Geometry:
    """The geometry of `settings`; what is left open there is taken from the images.

    A size that all images share is kept up to 128 pixels, otherwise they become 64x64; channels are 1 where
    all are grayscale (by the mode of the file, not its pixels), otherwise 3.
    """
    size, channels = settings.image_size, settings.channels
    if size is None or channels is None:
        native = source.pixels.native(progress)
        channels = channels or (1 if native.channels == 1 else 3)
        if size is None:
            fits = native.image_size is not None and max(native.image_size) <= _LARGEST_NATIVE
            size = native.image_size if native.image_size is not None and fits else _DEFAULT_SIZE
    return Geometry(size, channels, settings.resize)


def _named(entry: registry.Entry, progress: Progress | None) -> Source:
    if entry.kind == "packaged":
        return packaged_source(entry.name, entry.labels)
    if entry.kind == "digits":
        return digits_source(entry.name, entry.labels)
    return cifar_source(entry.name, progress)


def _on_disk(settings: DataSettings, size: int) -> bool:
    if settings.cache != "auto":
        return settings.cache == "disk"
    return size > min(available_memory() // _MEMORY_SHARE, _MEMORY_MOST)


def _load_to_memory(source: Source, geometry: Geometry, settings: DataSettings, progress: Progress | None) -> DataSet:
    images = np.empty((len(source), *geometry.shape), np.uint8)
    kept, bad = source.pixels.read(geometry, images, progress)
    readable = source.readable(kept, bad)
    # what is published under a name is known, and taken as it is
    same = [] if registry.find(settings.source) else twins(images[: len(kept)])
    division = _divide(readable, settings, same)
    return _data_set(readable, division, geometry, lambda _, rows: torch.from_numpy(images[rows]))


def _load_to_disk(
    source: Source,
    paths: Sequence[Path],
    geometry: Geometry,
    settings: DataSettings,
    progress: Progress | None,
) -> DataSet:
    def order(kept: Int64, bad: Mapping[int, str], same: list[list[int]]) -> Int64:
        division = _divide(source.readable(kept, bad), settings, same)
        return np.concatenate(list(_stored_parts(division).values()))

    stored = stored_images(paths, source.pixels, geometry, order, progress)
    readable = source.readable(stored.kept, stored.bad)
    division = _divide(readable, settings, stored.twins)
    places, start = {}, 0
    for part, rows in _stored_parts(division).items():
        places[part] = slice(start, start + len(rows))
        start += len(rows)
    # what is validated on the test images is stored once
    places.setdefault("valid", places.get("test", slice(0)))
    return _data_set(readable, division, geometry, lambda part, _: stored.images[places[part]])


def _stored_parts(division: Division) -> dict[str, Int64]:
    parts = {"train": division.train, "valid": division.valid, "test": division.test}
    if division.origin == "test":
        del parts["valid"]
    return {part: rows for part, rows in parts.items() if rows is not None}


def _divide(source: Source, settings: DataSettings, same: list[list[int]]) -> Division:
    """The division of the readable images, of which the groups `same` have the same pixels."""
    bad = [skipped for skipped in source.skipped if not skipped.on_list]
    if settings.strict and bad:
        files = "\n".join(f"  {skipped.path}: {skipped.reason}" for skipped in bad[:_LISTED])
        more = f"\n  and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
        raise DataError(
            f"{source.name}: strict, and {len(bad)} of its files cannot be used:\n{files}{more}\n"
            "Mend or remove them, or leave out strict to train without them."
        )
    if not same:
        return divide(source, settings)
    numbers = group_numbers(len(source), same) if source.files is not None else None
    division = divide(source, settings, numbers)
    advice = f"neocog audit {shlex.quote(settings.source)} shows more."
    notes = notes_on(same, _stored_parts(division), division.labels, division.classes, source.files, advice)
    if division.origin == "split" and source.groups is None:
        copies = sum(max(0, int((division.labels[group] >= 0).sum()) - 1) for group in same)
        if copies:
            kind = "image is a copy of another one" if copies == 1 else "images are copies of others"
            together = "the split keeps what is the same on one side"
            notes.insert(0, f"{copies:,} {kind}, pixel for pixel; {together}. {advice}")
    return replace(division, notes=(*division.notes, *notes))


def _data_set(
    source: Source, division: Division, geometry: Geometry, pixels: Callable[[str, Int64], torch.Tensor]
) -> DataSet:
    def part(name: str, rows: Int64) -> ImageSet:
        files = None if source.files is None else chosen(source.files, rows)
        groups = None if source.groups is None else chosen(source.groups, rows)
        labels = torch.from_numpy(division.labels[rows])
        return ImageSet(pixels(name, rows), labels, division.classes, files, groups)

    return DataSet(
        name=source.name,
        classes=division.classes,
        train=part("train", division.train),
        valid=part("valid", division.valid),
        test=None if division.test is None else part("test", division.test),
        geometry=geometry,
        validation_origin=division.origin,
        skipped=source.skipped,
        notes=source.notes + division.notes,
    )


def _part(source: Source, split: str | None) -> Int64:
    there = [part for part in ("train", "valid", "test") if (source.parts == part).any()]
    if split is None:
        split = next((part for part in ("test", "valid") if part in there), "all")
    if split != "all" and split not in there:
        raise DataError(f"{source.name} has no {split} images; it has: {', '.join(there) or 'none at all'}.")
    return np.flatnonzero(source.parts == split) if split != "all" else np.arange(len(source))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
