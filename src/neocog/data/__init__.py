"""Image sets: built in, folders, lists and downloads, decoded to uint8 and divided into parts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neocog.data.decoding import UnreadableImage, decode
    from neocog.data.geometry import Geometry
    from neocog.data.imageset import DataSet, ImageSet, Skipped
    from neocog.data.loading import load, load_images
    from neocog.data.paths import image_files
    from neocog.data.registry import available

# Listing data sets or image files must not wait for torch, so each name is imported when first asked for.
_HOME = {
    "DataSet": "imageset",
    "Geometry": "geometry",
    "ImageSet": "imageset",
    "Skipped": "imageset",
    "UnreadableImage": "decoding",
    "available": "registry",
    "decode": "decoding",
    "image_files": "paths",
    "load": "loading",
    "load_images": "loading",
}

__all__ = [
    "DataSet",
    "Geometry",
    "ImageSet",
    "Skipped",
    "UnreadableImage",
    "available",
    "decode",
    "image_files",
    "load",
    "load_images",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
