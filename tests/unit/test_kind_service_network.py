from __future__ import annotations

from typing import Any

import pytest

from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.providers.kind.service_network import api_request, wait_for_service_network
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock

ADDRESS = "10.96.0.1"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": ADDRESS},
}


class Node:
    def __init__(self, name: str, fails: int = 0) -> None:
        self.name = name
        self.fails = fails


class Nodes:
    """An engine whose nodes reach the API after a number of attempts."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def execute(self, node: Node, argv: list[str]) -> str:
        assert argv == api_request(ADDRESS)
        self.requests.append(node.name)
        node.fails -= 1
        return "" if node.fails >= 0 else '{"gitVersion": "v1.36.3"}'


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    api = FakeApi()
    api.add(SERVICE)
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda *_a, **_o: api.client())
    return Nodes()


def wait(engine: Any, *nodes: Node, notes: list[str] | None = None) -> None:
    note = notes.append if notes is not None else None
    wait_for_service_network(engine, nodes, "", 5, FakeClock(), note)


def test_every_node_must_reach_the_api_by_its_service(engine: Nodes) -> None:
    notes: list[str] = []
    wait(engine, Node("one"), Node("two", fails=2), notes=notes)
    assert engine.requests == ["one", "two", "two", "two"]
    assert notes == [f"kube-proxy on two does not route to {ADDRESS} yet"]


def test_a_node_without_rules_is_named(engine: Nodes) -> None:
    with pytest.raises(DevstackError) as caught:
        wait(engine, Node("one"), Node("two", fails=1000))
    assert caught.value.code == "WAIT_TIMEOUT"
    assert "kube-proxy on two" in str(caught.value)


def test_the_request_verifies_the_certificate_and_does_not_hang() -> None:
    argv = api_request(ADDRESS)
    assert f"--server=https://{ADDRESS}" in argv
    assert "--request-timeout=1s" in argv
    assert not any("insecure" in word for word in argv)
