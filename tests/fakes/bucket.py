"""An S3 of which only the existence of a bucket can be asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from devstack.ports import LOOPBACK


class Bucket(BaseHTTPRequestHandler):
    """An S3 with one bucket, or without, or that refuses all keys."""

    status = 200

    def do_HEAD(self) -> None:
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 - the server's name

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""


@contextmanager
def serve_bucket() -> Iterator[int]:
    """Run the S3; yield its port."""
    Bucket.status = 200
    server = ThreadingHTTPServer((LOOPBACK, 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
