from __future__ import annotations

import socket
import ssl
from pathlib import Path
from threading import Thread

import pytest

from devstack.services.certificates import ServingCertificate, build_serving_certificate

HOST = "metrics-server.metrics-server.svc"


def handshake(served: ServingCertificate, authority: str, folder: Path, host: str) -> None:
    """Connect a TLS client to a server, in memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "crt").write_text(served.certificate)
    (folder / "key").write_text(served.key)
    server.load_cert_chain(folder / "crt", folder / "key")
    client = ssl.create_default_context(cadata=authority)
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(right, server_side=True).close()
        except OSError:
            right.close()

    thread = Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(left, server_hostname=host).close()
    finally:
        left.close()
        thread.join()


def test_a_client_that_has_the_certificate_verifies_the_server(tmp_path: Path) -> None:
    made = build_serving_certificate(HOST)
    handshake(made, made.certificate, tmp_path, HOST)


def test_another_host_or_another_authority_is_not_verified(tmp_path: Path) -> None:
    made = build_serving_certificate(HOST)
    other = build_serving_certificate(HOST)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, made.certificate, tmp_path, "minio.devstack.svc")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, other.certificate, tmp_path, HOST)
