"""A real HTTP server on this machine whose files can be cut off, changed, slow, or served without ranges."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server does, to be changed at any time, and the headers of what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    address: str = ""
    ranges: bool = True
    etag: str = '"first"'
    changed: str = ""
    lengths: bool = True
    # after so many bytes of a response the connection ends; each number is for one response
    cuts: list[int] = field(default_factory=list)
    # seconds before each sixteenth of the file
    pause: float = 0.0
    asked: list[dict[str, str]] = field(default_factory=list)

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.asked]


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            served.asked.append(dict(self.headers))
            content = served.files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            start = self._start()
            if start >= len(content) and start:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if served.etag:
                self.send_header("ETag", served.etag)
            if served.changed:
                self.send_header("Last-Modified", served.changed)
            if served.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            self.send_header("Connection", "close")
            self.end_headers()
            self._send(content[start:])

        def _start(self) -> int:
            wanted = self.headers.get("Range", "")
            same = self.headers.get("If-Range") in (None, served.etag or None, served.changed or None)
            if not served.ranges or not wanted or not same:
                return 0
            return int(wanted.removeprefix("bytes=").rstrip("-"))

        def _send(self, content: bytes) -> None:
            cut = served.cuts.pop(0) if served.cuts else len(content)
            step = max(1, len(content) // 16)
            for place in range(0, min(cut, len(content)), step):
                time.sleep(served.pause)
                self.wfile.write(content[place : min(place + step, cut)])
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    served.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
