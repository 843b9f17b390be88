"""Host ports that another process holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from devstack.errors import ExitStatus
from tests.support.commandline import Devstack
from tests.support.refusal import refused


@pytest.fixture
def holder() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_requested_port_in_use_names_the_program(fresh: Devstack, holder: int) -> None:
    argv = ("up", "--port", f"minio={holder}")
    refusal = refused(fresh, *argv, code="PORT_TAKEN", status=ExitStatus.ENVIRONMENT)
    assert f"port {holder} for minio" in refusal.message
    assert f"process {os.getpid()}" in refusal.cause
    assert "--port minio=" in refusal.remedy


def test_after_a_taken_port_another_may_be_chosen(fresh: Devstack, holder: int) -> None:
    first, other = f"minio={holder}", f"minio={_free()}"
    refused(fresh, "up", "--port", first, code="PORT_TAKEN", status=ExitStatus.ENVIRONMENT)
    plan = fresh.json("up", "--dry-run", "--port", other)
    assert plan["status"] == "ok"
    # The next fault shows that this port is no longer one.
    busy = f"minio-console={holder}"
    refusal = refused(
        fresh,
        "up",
        "--port",
        other,
        "--port",
        busy,
        code="PORT_TAKEN",
        status=ExitStatus.ENVIRONMENT,
    )
    assert "minio-console" in refusal.message


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
