"""The socket of Podman's API: the user's, else that of a service for this process."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.docker import podman_api
from devstack.docker.connection import engine_host
from devstack.docker.engine import PODMAN
from devstack.docker.podman_api import find_socket
from devstack.docker.recognition import remote_fault
from devstack.errors import DevstackError


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH for a fake podman; no service is known."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    monkeypatch.setattr(podman_api, "_services", {})
    monkeypatch.setattr(podman_api.os, "geteuid", lambda: 1000)
    return folder


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "podman.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def test_the_users_socket_is_used(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{listening}")
    assert find_socket() == str(listening)
    assert engine_host(PODMAN) == f"unix://{listening}"


def test_the_socket_that_systemd_serves_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "podman").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "podman" / "podman.sock"))
        server.listen()
        assert find_socket() == str(tmp_path / "podman" / "podman.sock")


def test_a_podman_of_another_machine_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", "ssh://me@far/run/podman.sock")
    fault = remote_fault(engine_host(PODMAN))
    assert fault is not None
    assert fault.code == "ENGINE_REMOTE"


def test_a_service_that_does_not_start_is_an_error_with_its_message(programs: Path) -> None:
    podman = programs / "podman"
    podman.write_text("#!/bin/sh\necho 'Error: no subuid ranges' >&2\nexit 125\n")
    podman.chmod(podman.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(DevstackError) as caught:
        find_socket()
    assert caught.value.code == "PODMAN_STOPPED"
    assert "no subuid ranges" in caught.value.cause
