"""HTTP to one API server: TLS and a pool of persistent connections."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import urllib3

from devstack.kube.api_errors import UnreachableError
from devstack.kube.kubeconfig import ClientConfig

POOL_SIZE = 8
"""The number of open connections, and of parallel requests."""


@dataclass(frozen=True)
class Answer:
    """The answer of the server."""

    status: int
    body: bytes


class Transport(Protocol):
    """Sends requests to one API server."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request and return its answer, regardless of the status.

        Raises:
            UnreachableError: there is no answer.
        """
        ...


class HttpTransport:
    """The real :class:`Transport`.

    Args:
        config: the API server and the identity to use.
        timeout: seconds for one request.
    """

    def __init__(self, config: ClientConfig, timeout: float) -> None:
        self._server = config.server
        self._prefix = urlsplit(config.server).path
        self._headers = {"Accept": "application/json", "User-Agent": "devstack"}
        if config.token:
            self._headers["Authorization"] = f"Bearer {config.token}"
        self._pool = _pool(config, timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request and return its answer; see :class:`Transport`."""
        url = f"{self._prefix}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, "Content-Type": content_type} if body else self._headers
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, retries=False, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(self._server, _cause(error)) from error
        return Answer(answer.status, answer.data)


def _pool(config: ClientConfig, timeout: float) -> urllib3.HTTPConnectionPool:
    address = urlsplit(config.server)
    limits = urllib3.Timeout(connect=min(timeout, 5.0), read=timeout)
    if address.scheme == "http":
        return urllib3.HTTPConnectionPool(
            address.hostname or "", address.port or 80, timeout=limits, maxsize=POOL_SIZE
        )
    name = config.server_name or None
    return urllib3.HTTPSConnectionPool(
        address.hostname or "",
        address.port or 443,
        timeout=limits,
        maxsize=POOL_SIZE,
        ssl_context=_tls(config),
        server_hostname=name,
        assert_hostname=False if config.insecure else name,
    )


def _tls(config: ClientConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=config.ca.decode() if config.ca else None)
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.certificate and config.key:
        _load_identity(context, config.certificate + b"\n" + config.key)
    return context


def _load_identity(context: ssl.SSLContext, pem: bytes) -> None:
    """Load a client certificate; OpenSSL reads it only from a file."""
    descriptor, path = tempfile.mkstemp(prefix="devstack-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)


def _cause(error: urllib3.exceptions.HTTPError) -> str:
    """Return the cause without the names of urllib3's objects."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "connection refused" if "refused" in str(error) else str(error).split(": ", 1)[-1]
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"TLS failed: {error}"
    return str(error)
