"""Downloads that are cut off, changed, doubled or refused, against a real server on this machine."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.data import resuming
from neocog.data.download import DownloadError, retrieve

from .ranged_server import Served, serving

CONTENT = bytes(range(256)) * 4001
HALF = len(CONTENT) // 2 // resuming._CHUNK * resuming._CHUNK
STEP = resuming._CHUNK
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "_BREAK_SECONDS", 0.0)
    monkeypatch.setattr(resuming, "_WAIT_SECONDS", 0.01)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as server:
        server.files["weights.pth"] = CONTENT
        yield server


def fetch(served: Served, folder: Path, **options: object) -> Path:
    path = folder / "weights.pth"
    retrieve(f"{served.address}/weights.pth", path, megabytes=1, sha256=SHA256[:8], **options)  # type: ignore[arg-type]
    return path


def broken(served: Served, folder: Path) -> None:
    """A download that ended in the middle, in an earlier process."""
    served.cuts = [HALF]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DownloadError):
        patch.setattr(resuming, "_MOST_BREAKS", 0)
        fetch(served, folder)
    assert (folder / "weights.pth.part").stat().st_size == HALF
    assert not (folder / "weights.pth").exists()
    served.asked.clear()


def left_over(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"weights.pth"}


def test_a_download_that_was_cut_off_goes_on_where_it_ended(served: Served, tmp_path: Path) -> None:
    broken(served, tmp_path)
    told: list[tuple[str, int, int]] = []
    assert fetch(served, tmp_path, progress=lambda *what: told.append(what)).read_bytes() == CONTENT
    assert served.asked[0]["Range"] == f"bytes={HALF}-" and served.asked[0]["If-Range"] == '"first"'
    assert told[0][1] > HALF and told[-1] == ("downloading weights.pth", len(CONTENT), len(CONTENT))
    assert not left_over(tmp_path)


def test_a_connection_that_breaks_is_taken_up_again_by_itself(served: Served, tmp_path: Path) -> None:
    served.cuts = [STEP, 2 * STEP, 3 * STEP]
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.ranges_asked() == [None, *(f"bytes={count * STEP}-" for count in (1, 3, 6))]


def test_a_connection_that_breaks_without_a_byte_is_an_error_at_once(served: Served, tmp_path: Path) -> None:
    served.cuts = [STEP, 0, 0, 0]
    with pytest.raises(DownloadError, match="cannot download"):
        fetch(served, tmp_path)
    assert len(served.asked) == 2
    assert (tmp_path / "weights.pth.part").read_bytes() == CONTENT[:STEP]


def test_a_server_without_ranges_begins_again(served: Served, tmp_path: Path) -> None:
    broken(served, tmp_path)
    served.ranges = False
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.ranges_asked() == [f"bytes={HALF}-"]


@pytest.mark.parametrize(
    ("etag", "changed", "if_range"),
    [
        ('"first"', "", '"first"'),
        ("", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ('W/"weak"', "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("", "", None),
    ],
)
def test_the_server_is_told_of_which_version_the_beginning_is(
    served: Served, tmp_path: Path, etag: str, changed: str, if_range: str | None
) -> None:
    served.etag, served.changed = etag, changed
    broken(served, tmp_path)
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.asked[0].get("If-Range") == if_range


def test_a_file_that_has_changed_begins_again(served: Served, tmp_path: Path) -> None:
    served.files["weights.pth"] = bytes(len(CONTENT))
    broken(served, tmp_path)
    served.files["weights.pth"], served.etag = CONTENT, '"second"'
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.ranges_asked() == [f"bytes={HALF}-"]


def test_a_file_that_has_become_smaller_begins_again(served: Served, tmp_path: Path) -> None:
    served.etag = ""
    (tmp_path / "weights.pth.part").write_bytes(bytes(len(CONTENT) + 5))
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.ranges_asked() == [f"bytes={len(CONTENT) + 5}-", None]


def test_a_download_that_was_whole_but_not_yet_checked_is_not_repeated(served: Served, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").write_bytes(CONTENT)
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.ranges_asked() == [f"bytes={len(CONTENT)}-"]


def test_wrong_content_is_thrown_away_and_said(served: Served, tmp_path: Path) -> None:
    served.files["weights.pth"] = b"<html>Please log in</html>"
    with pytest.raises(DownloadError, match=rf"something else.*26 bytes came.*not {SHA256[:8]}.*thrown away"):
        fetch(served, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_beginning_of_another_file_is_found_out_where_the_server_tells_no_version(
    served: Served, tmp_path: Path
) -> None:
    served.etag = ""
    (tmp_path / "weights.pth.part").write_bytes(bytes(HALF))
    with pytest.raises(DownloadError, match="thrown away"):
        fetch(served, tmp_path)
    assert fetch(served, tmp_path).read_bytes() == CONTENT


def test_a_missing_file_and_a_missing_server_say_so(served: Served, tmp_path: Path) -> None:
    for url, reason in ((f"{served.address}/none.pth", "404"), ("http://127.0.0.1:9/weights.pth", "refused")):
        with pytest.raises(DownloadError, match=reason):
            retrieve(url, tmp_path / "weights.pth", megabytes=1)
    assert not list(tmp_path.iterdir())


def test_a_slow_server_and_one_that_tells_no_length_give_the_whole_file(served: Served, tmp_path: Path) -> None:
    served.pause, served.lengths = 0.01, False
    told: list[tuple[str, int, int]] = []
    assert fetch(served, tmp_path, progress=lambda *what: told.append(what)).read_bytes() == CONTENT
    assert told[-1][1:] == (len(CONTENT), len(CONTENT)) and len(told) > 1


def test_a_folder_that_cannot_be_written_says_so(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot write"):
        retrieve(f"{served.address}/weights.pth", tmp_path / "file" / "weights.pth", megabytes=1)


PROCESS = """
import sys
from pathlib import Path
from neocog.data.download import retrieve
retrieve(sys.argv[1], Path(sys.argv[2]), megabytes=1, sha256=sys.argv[3])
"""


def start(served: Served, folder: Path) -> subprocess.Popen[bytes]:
    path = str(folder / "weights.pth")
    return subprocess.Popen([sys.executable, "-c", PROCESS, f"{served.address}/weights.pth", path, SHA256])


def wait_for(path: Path, size: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and not (path.is_file() and path.stat().st_size >= size):
        time.sleep(0.01)
    assert path.is_file()


def test_of_two_processes_one_downloads_and_the_other_waits(served: Served, tmp_path: Path) -> None:
    served.pause = 0.05
    first, second = start(served, tmp_path), start(served, tmp_path)
    assert (first.wait(60), second.wait(60)) == (0, 0)
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT
    assert len(served.asked) == 1
    assert not left_over(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX")
def test_a_process_that_was_killed_leaves_what_it_had_and_stands_in_nobodys_way(served: Served, tmp_path: Path) -> None:
    served.pause = 0.2
    process = start(served, tmp_path)
    wait_for(tmp_path / "weights.pth.part", 2**18)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    served.pause = 0.0
    size = (tmp_path / "weights.pth.part").stat().st_size
    assert 0 < size < len(CONTENT)
    assert fetch(served, tmp_path).read_bytes() == CONTENT
    assert served.ranges_asked() == [None, f"bytes={size}-"]


@given(st.lists(st.integers(1, 9), max_size=4), st.booleans())
@settings(max_examples=25, deadline=None)
def test_however_it_is_cut_the_file_is_whole(cuts: list[int], ranges: bool) -> None:
    import tempfile

    with serving() as served, tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(resuming, "_BREAK_SECONDS", 0.0)
        patch.setattr(resuming, "_CHUNK", 1)
        served.files["weights.pth"], served.cuts, served.ranges = b"0123456789", list(cuts), ranges
        path = Path(folder) / "weights.pth"
        for _ in range(len(cuts) + 1):
            try:
                retrieve(f"{served.address}/weights.pth", path, megabytes=1)
                break
            except DownloadError:
                assert not path.exists()
        assert path.read_bytes() == b"0123456789"


def test_only_one_thread_at_a_time_is_within(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with resuming.one_at_a_time(tmp_path / "file"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not list(tmp_path.iterdir())
