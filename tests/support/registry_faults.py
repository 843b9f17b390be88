"""What goes wrong between a client and a registry: a server in front of it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from tests.support.network_namespace import enter_network, run_in_network
from tests.support.private_authority import ServingFiles

BLOCK = 1 << 18
_HOP_BY_HOP = ("connection", "transfer-encoding", "keep-alive")

RATE_LIMIT = (
    "You have reached your unauthenticated pull rate limit. "
    "https://www.docker.com/increase-rate-limit"
)
"""Docker Hub's message with the status 429."""
_DENIED = "requested access to the resource is denied"


@dataclass
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: ``rate-limit``: manifests get the status 429, as from Docker Hub; ``denied``: they
            need a login, as private and absent repositories of Docker Hub do; ``unavailable``:
            they get the status 503; ``drop``: the connection ends in the middle of a blob;
            ``slow``: blobs come at ``rate``; ``corrupt``: blobs have a wrong byte at the end;
            ``hang``: nothing comes at all.
        repository: where, by default everywhere.
        times: how often, by default always.
        rate: bytes per second of a slow blob, all connections together not considered.
    """

    kind: Literal["rate-limit", "denied", "unavailable", "drop", "slow", "corrupt", "hang"]
    repository: str = ""
    times: int = 0
    rate: int = 100_000


class FaultyRegistry:
    """Passes requests on to a registry, except where one of ``faults`` applies.

    Args:
        address: host and port to listen at.
        backend: host and port of the registry.
        files: the certificate and key to serve with.
        authority: the authority of the registry's own certificate.
        faults: read at each request.
        network: a process in whose network namespace both are; by default this process's own.
    """

    def __init__(
        self,
        address: tuple[str, int],
        backend: tuple[str, int],
        files: ServingFiles,
        authority: Path,
        faults: list[Fault],
        network: int | None = None,
    ) -> None:
        self.network = network
        self.backend = backend
        self.faults = faults
        self.trust = ssl.create_default_context(cafile=authority)
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(files.certificate, files.key)
        self._server = run_in_network(network, lambda: _Server(address, _Handler, server, self))

    def start(self) -> None:
        """Serve, in threads."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close the listening socket."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def fault(self, path: str) -> Fault | None:
        """Return the fault that applies to a request, and count it."""
        with self._lock:
            for each in self.faults:
                if f"/v2/{each.repository}" not in path or not _applies(each, path):
                    continue
                if each.times == 1:
                    self.faults.remove(each)
                elif each.times:
                    each.times -= 1
                return each
        return None


def _applies(fault: Fault, path: str) -> bool:
    part = "/blobs/" if fault.kind in ("drop", "slow", "corrupt") else "/manifests/"
    return part in path


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        context: ssl.SSLContext,
        front: FaultyRegistry,
    ) -> None:
        super().__init__(address, handler)
        self.front = front
        self._context = context

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        if self.front.network:
            enter_network(self.front.network)
        # Here, in the connection's thread: a slow handshake holds up no other connection.
        with self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that disconnect are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        front = self.server.front
        if self.path.startswith("/token"):
            self._answer(200, {"token": "anonymous"})
            return
        fault = front.fault(self.path)
        kind = fault.kind if fault else ""
        if kind == "rate-limit":
            self._answer(429, _errors("TOOMANYREQUESTS", RATE_LIMIT))
        elif kind == "denied":
            self._deny()
        elif kind == "unavailable":
            self._answer(503, _errors("UNAVAILABLE", "service unavailable"))
        elif kind == "hang":
            front.stopped.wait()
            self.close_connection = True
        else:
            self._pass_on(fault)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _deny(self) -> None:
        host = self.headers.get("Host", "")
        repository = self.path.removeprefix("/v2/").partition("/manifests/")[0]
        realm = f'Bearer realm="https://{host}/token",service="tests"'
        scope = f'scope="repository:{repository}:pull"'
        challenge = f'{realm},{scope},error="insufficient_scope"'
        self._answer(401, _errors("DENIED", _DENIED), ("WWW-Authenticate", challenge))

    def _answer(self, status: int, body: object, *headers: tuple[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for header in (*headers, ("Content-Type", "application/json")):
            self.send_header(*header)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _pass_on(self, fault: Fault | None) -> None:
        front = self.server.front
        connection = http.client.HTTPSConnection(*front.backend, context=front.trust, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, headers=headers)
            response = connection.getresponse()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self._copy(response, fault if response.status in (200, 206) else None)
        finally:
            connection.close()

    def _copy(self, response: http.client.HTTPResponse, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        left = int(response.getheader("Content-Length") or 0)
        # A client that resumes gets nothing, or it would have everything in the end.
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        stop_at = (left if resumed else left // 2) if kind == "drop" else -1
        while left > stop_at:
            wanted = min(BLOCK, fault.rate // 10) if fault and kind == "slow" else BLOCK
            block = response.read(min(wanted, left))
            if not block:
                break
            left -= len(block)
            if kind == "corrupt" and not left:
                block = block[:-1] + bytes([block[-1] ^ 0xFF])
            self.wfile.write(block)
            if kind == "slow":
                time.sleep(0.1)
        if left:
            self.close_connection = True

    def log_message(self, format: str, *values: object) -> None:
        """Print nothing."""


def _errors(code: str, message: str) -> dict[str, object]:
    return {"errors": [{"code": code, "message": message}]}
