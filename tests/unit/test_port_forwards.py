"""Ports that the cluster does not map are forwarded."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.kube.forward import Forward
from devstack.lifecycle import port_forwards
from devstack.lifecycle.up import up
from devstack.migrations import migrate
from devstack.stack import Stack
from tests.fakes.stack import World


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the ports that are forwarded."""
    names: list[str] = []

    def start(_folder: object, forward: Forward, **_options: object) -> None:
        names.append(forward.name)

    monkeypatch.setattr(port_forwards, "start_forward", start)
    return names


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("mapped", "forwarded"), [(["minio"], []), ([], ["minio"])])
def test_a_port_that_the_cluster_does_not_map_is_forwarded(
    monkeypatch: pytest.MonkeyPatch, started: list[str], mapped: list[str], forwarded: list[str]
) -> None:
    monkeypatch.setattr(Stack, "kubectl", lambda _: Path("kubectl"))
    world = World(monkeypatch)
    stack = world.open()
    monkeypatch.setattr(port_forwards, "is_forwarded", lambda *_: "minio" in started)
    up(stack)
    started.clear()
    stack.state.mapped_ports = mapped
    port_forwards.ensure_port_forwards(stack, stack.services[1])
    assert started == forwarded


@pytest.mark.parametrize("own", [{"api": 6443}, {}])
def test_an_earlier_release_mapped_all_ports_if_any(own: dict[str, int]) -> None:
    state = migrate({"name": "mine", "ports": {"minio": 9000, **own}}, 3)
    assert state["mapped_ports"] == (["api", "minio"] if own else [])
