"""A provider that maps no ports and loads no images, through the command line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack import tools
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.config import StackSpec
from devstack.errors import ExitStatus
from devstack.kube.forward import stop_forwards
from devstack.ports import LOOPBACK, is_free
from devstack.providers.base import KeepsVolumes, LoadsImages, MapsPorts, NeedsNodeImage
from devstack.waits import SystemClock
from tests.fakes.stack import PlainProvider, World

KUBECTL = """#!/usr/bin/env python3
import socket, sys
port = int(sys.argv[-1].split(":")[0])
with socket.create_server(("127.0.0.1", port)) as server:
    while True:
        server.accept()
"""
"""A fake `kubectl port-forward` that listens on the host port."""


@pytest.fixture
def plain(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Commands use a provider without optional capabilities."""
    world.provider = PlainProvider()
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    monkeypatch.setattr(tools, "ensure_kubectl", lambda *_arguments, **_options: kubectl)
    # A process listens after real time only.
    world.clock = SystemClock()  # type: ignore[assignment]

    def open_stack(spec: StackSpec, _progress: object = None, **options: bool) -> Any:
        return world.open(spec, **options)

    monkeypatch.setattr("devstack.stack.open_stack", open_stack)
    monkeypatch.setattr("devstack.lifecycle.status.open_stack", open_stack)
    yield world
    stop_forwards(world.open().dir.path)


def call(*argv: str) -> int:
    return run(argv, Output())


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.mark.parametrize("capability", [KeepsVolumes, LoadsImages, MapsPorts, NeedsNodeImage])
def test_the_provider_has_no_optional_capability(capability: type) -> None:
    assert not isinstance(PlainProvider(), capability)


def test_up_status_and_down_work(
    plain: World, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("up") == ExitStatus.OK
    state = plain.open().state
    assert state.provider == "plain"
    # No image is obtained on this machine: the nodes pull them.
    assert plain.images.ensured == []
    # A port-forward, and no port of the provider's own.
    assert list(state.ports) == ["minio"]
    assert connects(state.ports["minio"])
    (forward,) = psutil.Process().children()
    assert call("up") == ExitStatus.OK
    assert psutil.Process().children() == [forward]
    assert call("status") == ExitStatus.OK
    shown = capsys.readouterr().out
    assert "on plain: up" in shown
    assert f"http://127.0.0.1:{state.ports['minio']}" in shown
    assert call("down") == ExitStatus.OK
    assert plain.provider.state == "absent"
    assert not forward.is_running() or forward.status() == psutil.STATUS_ZOMBIE
    assert is_free(state.ports["minio"])
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_a_forward_that_ended_makes_the_stack_degraded_until_the_next_up(plain: World) -> None:
    call("up")
    stop_forwards(plain.open().dir.path)
    assert call("status") == ExitStatus.FAILED
    assert call("up") == ExitStatus.OK
    assert call("status") == ExitStatus.OK


def test_it_cannot_keep_data(plain: World, capsys: pytest.CaptureFixture[str]) -> None:
    call("up")
    capsys.readouterr()
    assert call("down", "--keep-data") == ExitStatus.USAGE
    assert "DATA_NOT_KEPT" in capsys.readouterr().err
    assert plain.provider.state == "running"
