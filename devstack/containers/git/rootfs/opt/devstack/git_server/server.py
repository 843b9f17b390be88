"""The HTTP server: it checks the password, and hands requests to ``git http-backend``.

Source: Git's documentation of git-http-backend; RFC 3875 for its variables.
"""

from __future__ import annotations

import base64
import hmac
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

BLOCK = 1 << 16
REQUEST_SECONDS = 120.0
"""The longest time without a byte from a client."""
READY = "/ready"
_PATH = re.compile(r"/[\w.-]+\.git/(info/refs|git-upload-pack|git-receive-pack)")
_SERVICES = ("git-upload-pack", "git-receive-pack")


class GitServer(ThreadingHTTPServer):
    """Serves the repositories of a folder to one user.

    Args:
        address: host and port.
        root: the folder.
        user: the user's name.
        password: the user's password.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], root: Path, user: str, password: str) -> None:
        super().__init__(address, _Handler)
        self.root = root
        self._login = base64.b64encode(f"{user}:{password}".encode())

    def accepts(self, header: str) -> bool:
        """Return True if a header ``Authorization`` has the user's name and password."""
        kind, _, value = header.partition(" ")
        given = value.strip().encode("latin-1", "replace")
        return kind.lower() == "basic" and hmac.compare_digest(given, self._login)


class _Handler(BaseHTTPRequestHandler):
    # With 1.1, `Expect: 100-continue` of large pushes is answered.
    protocol_version = "HTTP/1.1"
    server: GitServer
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        """Answer a request for the references, or of the probes."""
        if self.path == READY:
            self._refuse(HTTPStatus.OK, "ready")
        else:
            self._serve()

    def do_POST(self) -> None:
        """Answer a fetch or a push."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Log a line per request of Git, without headers."""
        # A request that cannot be parsed has no path.
        if getattr(self, "path", "") != READY:
            sys.stdout.write(f"{self.client_address[0]} {format % args}\n")
            sys.stdout.flush()

    def _serve(self) -> None:
        self.close_connection = True
        url = urlsplit(self.path)
        if not self.server.accepts(self.headers.get("Authorization", "")):
            self._refuse(HTTPStatus.UNAUTHORIZED, "user name and password, please")
        elif not _is_known(url.path, url.query):
            self._refuse(HTTPStatus.NOT_FOUND, "there is only the smart protocol of Git here")
        else:
            self._run(url.path, url.query)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
        body = f"{text}\n".encode()
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _run(self, path: str, query: str) -> None:
        process = subprocess.Popen(
            ["git", "http-backend"],
            env=self._variables(path, query),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdin
            assert process.stdout
            sender = threading.Thread(target=self._send, args=(process.stdin,), daemon=True)
            sender.start()
            try:
                self._answer(process.stdout)
            finally:
                # It waits for the rest of a request whose client is gone.
                process.kill()

    def _variables(self, path: str, query: str) -> dict[str, str]:
        found = {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",  # noqa: S108 - a pod's own
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "git",
            "REMOTE_ADDR": self.client_address[0],
        }
        headers = {
            "CONTENT_TYPE": "Content-Type",
            "CONTENT_LENGTH": "Content-Length",
            "HTTP_CONTENT_ENCODING": "Content-Encoding",
            "GIT_PROTOCOL": "Git-Protocol",
        }
        return found | {
            name: self.headers[header] for name, header in headers.items() if header in self.headers
        }

    def _send(self, backend: IO[bytes]) -> None:
        """Pass the request's body on."""
        try:
            with backend:
                for block in self._body():
                    backend.write(block)
        except (OSError, ValueError):
            # The back end has ended, or the client has.
            return

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
                yield from self._read(size)
                self.rfile.readline()
            return
        yield from self._read(int(self.headers.get("Content-Length") or 0))

    def _read(self, size: int) -> Iterator[bytes]:
        while size > 0:
            block = self.rfile.read(min(size, BLOCK))
            if not block:
                raise ValueError("the client has closed the connection")
            size -= len(block)
            yield block

    def _answer(self, backend: IO[bytes]) -> None:
        status, headers = HTTPStatus.OK.value, []
        while line := backend.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        self.send_response(status if headers else HTTPStatus.INTERNAL_SERVER_ERROR)
        for name, value in headers:
            self.send_header(name, value)
        # The end of the answer is the end of the connection.
        self.send_header("Connection", "close")
        self.end_headers()
        while block := backend.read1(BLOCK):  # type: ignore[attr-defined]
            self.wfile.write(block)


def _is_known(path: str, query: str) -> bool:
    if not _PATH.fullmatch(path):
        return False
    if path.endswith("/info/refs"):
        return parse_qs(query).get("service", [""])[0] in _SERVICES
    return True
