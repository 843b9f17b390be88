"""An S3 that keeps objects in memory: enough for Metaflow's uploads and for deletions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        self.server.objects[self._key()] = self._body()  # type: ignore[attr-defined]
        self._answer(200, b"")

    def do_GET(self) -> None:
        kept = self.server.objects.get(self._key())  # type: ignore[attr-defined]
        self._answer(200 if kept is not None else 404, kept or b"")

    def do_DELETE(self) -> None:
        self.server.objects.pop(self._key(), None)  # type: ignore[attr-defined]
        self._answer(204, b"")

    do_HEAD = do_GET  # noqa: N815 - as http.server has it

    def _key(self) -> str:
        return self.path.partition("?")[0]

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "binary/octet-stream")
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 15:00:00 GMT")
        self.send_header("ETag", f'"{md5(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def fake_s3() -> Iterator[str]:
    """Serve an empty S3 on loopback; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.objects = {}  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
