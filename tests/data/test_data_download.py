from __future__ import annotations

import functools
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from neocog.data import cifar, download, load
from neocog.data.download import RemoteFile, fetch
from neocog.errors import DataError
from neocog.recipe import DataSettings


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def remote(content: bytes, url: str) -> RemoteFile:
    return RemoteFile("set.bin", url, hashlib.md5(content).hexdigest(), "https://example.org", 1)


def test_a_file_is_fetched_once(served: tuple[Path, str], own_data_folder: Path) -> None:
    folder, address = served
    content = bytes(range(256)) * 999
    (folder / "set.bin").write_bytes(content)
    file = remote(content, f"{address}/set.bin")
    told: list[tuple[str, int, int]] = []
    path = fetch(file, lambda *what: told.append(what))
    assert path == own_data_folder / "set.bin" and path.read_bytes() == content
    assert told[-1] == ("downloading set.bin", len(content), len(content))
    (folder / "set.bin").unlink()
    assert fetch(file) == path


def test_something_else_than_the_published_file_is_thrown_away(served: tuple[Path, str], own_data_folder: Path) -> None:
    folder, address = served
    (folder / "set.bin").write_bytes(b"something else")
    with pytest.raises(DataError, match="something else than the published file"):
        fetch(remote(b"published", f"{address}/set.bin"))
    assert not list(own_data_folder.iterdir())


def test_without_a_connection_it_says_what_to_put_where(served: tuple[Path, str], own_data_folder: Path) -> None:
    _, address = served
    for url in (f"{address}/missing.bin", "http://127.0.0.1:9/set.bin"):
        with pytest.raises(DataError, match=r"Without a connection: get .* put it into .* as set\.bin") as caught:
            fetch(remote(b"published", url))
        assert str(own_data_folder) in str(caught.value) and "NEOCOG_DATA" in str(caught.value)


def test_a_file_put_there_by_hand_is_checked(own_data_folder: Path) -> None:
    file = remote(b"published", "http://127.0.0.1:9/set.bin")
    (own_data_folder / "set.bin").write_bytes(b"published")
    assert fetch(file).read_bytes() == b"published"
    (own_data_folder / "set.bin").write_bytes(b"publ")
    with pytest.raises(DataError, match=r"not the published file.*delete it"):
        fetch(file)


def test_the_folder_is_the_users_cache_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEOCOG_DATA")
    assert "neocog" in str(download.data_folder())


def archive(layout: cifar.Layout, count: int, *, leave_out: str = "") -> tuple[bytes, np.ndarray, np.ndarray]:
    """A small archive of the layout; images and labels of its training members."""
    draws = np.random.default_rng(0)
    images, labels = [], []
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:

        def add(name: str, content: bytes) -> None:
            if name != leave_out:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))

        for name in (*layout.train, *layout.test):
            pixels = draws.integers(0, 256, (count, 3, 32, 32), np.uint8)
            fine = (np.arange(count) % 2).astype(np.uint8)
            records = np.zeros((count, layout.label_bytes + 3072), np.uint8)
            records[:, 0] = 1
            records[:, layout.label_bytes - 1] = fine
            records[:, layout.label_bytes :] = pixels.reshape(count, -1)
            add(name, records.tobytes())
            if name in layout.train:
                images.append(pixels)
                labels.append(fine)
        add("../evil.txt", b"never written")
        add(layout.names, b"cat\ndog\n\n")
    return buffer.getvalue(), np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_downloaded_and_read(
    name: str, served: tuple[Path, str], own_data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    layout = cifar.LAYOUTS[name]
    content, images, labels = archive(layout, 4)
    (folder / layout.archive.name).write_bytes(content)
    local = replace(layout.archive, url=f"{address}/{layout.archive.name}", md5=hashlib.md5(content).hexdigest())
    monkeypatch.setitem(cifar.LAYOUTS, name, replace(layout, archive=local))
    data = load(DataSettings(source=name, validation="test"))
    assert data.classes == ("cat", "dog") and data.geometry.shape == (3, 32, 32)
    assert np.array_equal(data.train.images.numpy(), images) and np.array_equal(data.train.labels.numpy(), labels)
    assert [path.name for path in own_data_folder.iterdir()] == [layout.archive.name]


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    layout = cifar.LAYOUTS["cifar100"]
    path = tmp_path / "set.tar.gz"
    content, *_ = archive(layout, 4, leave_out="cifar-100-binary/test.bin")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"lacks cifar-100-binary/test\.bin"):
        cifar.read_archive("cifar100", layout, path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot read"):
        cifar.read_archive("cifar100", layout, path)
    path.write_bytes(archive(layout, 4)[0])
    with pytest.raises(DataError, match="whole number of records"):
        cifar.read_archive("cifar100", replace(layout, label_bytes=5), path)
