"""The node agent's service: where it runs, and when it is ready."""

from __future__ import annotations

import json
import re

from devstack.images.programs import CONTAINERS
from devstack.kube.client import Object
from devstack.kube.pool_nodes import DEVICES_ANNOTATION
from devstack.kube.readiness import observe_daemon_set
from devstack.services.base import ServiceContext
from devstack.services.node_agent import NAMESPACE, NodeAgentService
from devstack.state import StackState
from devstack.waits import Failed, Ready, Waiting
from tests.fakes.api import FakeApi, pod, waiting

SERVICE = NodeAgentService()
LABELS = {"app.kubernetes.io/name": "node-agent"}


def context(api: FakeApi | None = None, *, has_pools: bool = True) -> ServiceContext:
    client = api.client() if api else None
    return ServiceContext(StackState("mine"), client, has_pools=has_pools)


def node(name: str, wanted: int, offered: str, ready: str = "True") -> Object:
    devices = json.dumps({"nvidia.com/gpu": wanted})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {DEVICES_ANNOTATION: devices}},
        "status": {
            "allocatable": {"nvidia.com/gpu": offered},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def daemon_set(ready: int, updated: int | None = None) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "node-agent", "namespace": NAMESPACE, "generation": 1},
        "spec": {"selector": {"matchLabels": LABELS}},
        "status": {
            "observedGeneration": 1,
            "numberReady": ready,
            "updatedNumberScheduled": ready if updated is None else updated,
        },
    }


def test_it_runs_only_on_nodes_that_the_provider_creates() -> None:
    assert {item["kind"] for item in SERVICE.manifests(context())} >= {"DaemonSet"}
    other = context(has_pools=False)
    assert SERVICE.manifests(other) == []
    assert SERVICE.observe(other) == Ready()
    assert SERVICE.describe(other) == "off: the nodes are as the cluster has them"


def test_it_is_ready_when_nodes_offer_their_devices() -> None:
    api = FakeApi()
    api.add(node("a", 8, "8"), node("b", 2, "0"))
    assert isinstance(SERVICE.observe(context(api)), Waiting)
    api.add(daemon_set(ready=2))
    expected = Waiting("node b does not offer its nvidia.com/gpu yet")
    assert SERVICE.observe(context(api)) == expected
    api.add(node("b", 2, "2"))
    assert SERVICE.observe(context(api)) == Ready()


def test_a_node_that_is_down_is_not_waited_for() -> None:
    api = FakeApi()
    api.add(node("a", 1, "1"), node("b", 1, "1", ready="Unknown"), daemon_set(1, updated=2))
    assert SERVICE.observe(context(api)) == Ready()


def test_the_failing_pod_of_a_daemon_set_is_named() -> None:
    api = FakeApi()
    pull = [waiting("ErrImagePull", "not found")]
    broken = pod("node-agent-x", labels=LABELS, containerStatuses=pull)
    broken["metadata"]["namespace"] = NAMESPACE
    api.add(daemon_set(0), broken)
    found = observe_daemon_set(api.client(), NAMESPACE, "node-agent", [node("a", 0, "0")])
    assert isinstance(found, Failed)
    assert "pod node-agent/node-agent-x" in found.reason


def test_capabilities_are_those_that_its_functions_need() -> None:
    (item,) = (each for each in SERVICE.manifests(context()) if each["kind"] == "DaemonSet")
    pods = item["spec"]["template"]["spec"]
    added = {
        container["name"]: container["securityContext"]["capabilities"]
        for container in (*pods["initContainers"], *pods["containers"])
    }
    assert added == {
        "address": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "agent": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }
    for container in (*pods["initContainers"], *pods["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_program_and_devstack_use_the_same_annotation() -> None:
    text = (CONTAINERS / "node-agent" / "devices" / "manager.go").read_text()
    assert re.search(r'Annotation = "(.+)"', text)[1] == DEVICES_ANNOTATION  # type: ignore[index]
