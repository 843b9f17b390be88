"""An Airflow that answers from a table, over real HTTP: login, session, API."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "the password"
PUBLIC = ("/health", "/api/v1/health")
"""What Airflow answers without a login."""

Reply = tuple[int, Any]
Answer = Callable[[dict[str, Any]], Reply] | Reply


class AirflowServer:
    """Serves what :meth:`answer` was told; requests without a session are refused.

    Attributes:
        asked: each request as ("GET", path, body).
        logins: how often somebody logged in.
        crowded: True where nobody may log in just now.
        connections: where each request came from; twice the same for a connection that was kept.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.logins = 0
        self.crowded = False
        self.connections: list[Any] = []
        self._refusal = 401
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
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, method: str, path: str, *replies: Answer) -> None:
        """Answer a path below the API's root so, one reply after the other; the last one stays."""
        self._answers[method, path] = list(replies)

    def forget_sessions(self, status: int = 401) -> None:
        """Refuse every cookie that was given out so far, with ``status``."""
        self._refusal = status
        self.logins += 1000

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        self.connections.append(request.client_address)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        where = urlsplit(request.path)
        if where.path == "/login/":
            self._login(request, body)
            return
        if "Content-Type" in request.headers and not body:
            self._reply(request, 400, "<!doctype html>")
            return
        if where.path not in PUBLIC and not self._knows(request):
            self._reply(request, self._refusal, {"detail": "who are you?"})
            return
        path = where.path.removeprefix("/api/v1")
        query = {key: values[0] for key, values in parse_qs(where.query).items()}
        self.asked.append((request.command, path, json.loads(body) if body else None))
        replies = self._answers.get((request.command, path), [(404, {"detail": "no such thing"})])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self._reply(request, *(reply(query) if callable(reply) else reply))

    def _knows(self, request: BaseHTTPRequestHandler) -> bool:
        plain = b64encode(f"admin:{PASSWORD}".encode()).decode()
        return (
            request.headers.get("Cookie") == f"session=s{self.logins}"
            or request.headers.get("Authorization") == f"Basic {plain}"
        )

    def _login(self, request: BaseHTTPRequestHandler, body: str) -> None:
        if request.command == "GET":
            page = '<input id="csrf_token" name="csrf_token" type="hidden" value="t0ken">'
            self._reply(request, 200, page, {"Set-Cookie": "session=anonymous; Path=/"})
            return
        if self.crowded:
            self._reply(request, 429, "too many logins")
            return
        form = parse_qs(body)
        known = form["password"] == [PASSWORD] and form["csrf_token"] == ["t0ken"]
        if not known or request.headers.get("Cookie") != "session=anonymous":
            self._reply(request, 302, "", {"Location": "/login/"})
            return
        self.logins += 1
        cookie = {"Set-Cookie": f"session=s{self.logins}; HttpOnly", "Location": "/home"}
        self._reply(request, 302, "", cookie)

    def _reply(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        said: Any,
        headers: dict[str, str] | None = None,
    ) -> None:
        sent = (said if isinstance(said, str) else json.dumps(said)).encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(sent)))
        request.end_headers()
        request.wfile.write(sent)
