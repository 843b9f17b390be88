"""An Airflow whose API answers from a table, over real HTTP and with basic authentication."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "the password"
API = "/api/v1"
PUBLIC = (f"{API}/health",)
"""Paths that need no authentication."""

Reply = tuple[int, Any]
Answer = Callable[[dict[str, Any]], Reply] | Reply


class AirflowServer:
    """Serves the answers set by :meth:`answer`; requires basic authentication.

    Attributes:
        requests: each request as (method, path below the API's root, body).
        connections: the client address of each request; equal for a reused connection.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.connections: list[Any] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return lambda: owner._serve(self)
                raise AttributeError(name)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, method: str, path: str, *replies: Answer) -> None:
        """Set the replies for a path below the API's root, in order; the last one is repeated."""
        self._answers[method, path] = list(replies)

    def requested(self, method: str) -> list[tuple[str, Any]]:
        """Return path and body of all requests with a method."""
        return [(path, body) for each, path, body in self.requests if each == method]

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        self.connections.append(request.client_address)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(request.path)
        if "Content-Type" in request.headers and not body:
            self._reply(request, 400, "<!doctype html>")
            return
        if url.path not in PUBLIC and not self._is_authorized(request):
            # As Airflow 2.11 answers.
            self._reply(request, 403, {"title": "Forbidden", "detail": None})
            return
        path = url.path.removeprefix(API)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.requests.append((request.command, path, json.loads(body) if body else None))
        replies = self._answers.get((request.command, path), [(404, {"detail": "no such thing"})])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self._reply(request, *(reply(query) if callable(reply) else reply))

    def _is_authorized(self, request: BaseHTTPRequestHandler) -> bool:
        credentials = b64encode(f"admin:{PASSWORD}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {credentials}"

    def _reply(self, request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
