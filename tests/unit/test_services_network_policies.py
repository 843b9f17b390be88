from __future__ import annotations

import pytest

from devstack.images.programs import CONTAINERS
from devstack.kube.client import Object
from devstack.services.base import ServiceContext
from devstack.services.network_policies import (
    NAMESPACE,
    UNSUPPORTED_ANNOTATION,
    NetworkPoliciesService,
    observe_enforced,
)
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi

SERVICE = NetworkPoliciesService()


def context(api: FakeApi | None = None, has_pools: bool = True) -> ServiceContext:
    kube = api.client() if api else None
    return ServiceContext(StackState("mine"), kube, has_pools=has_pools)


def kindnet() -> Object:
    return daemon_set("kindnet", "kube-system", ready=1)


def daemon_set(name: str, namespace: str, ready: int) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"selector": {"matchLabels": {"app.kubernetes.io/name": name}}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": 1,
            "updatedNumberScheduled": 1,
            "numberReady": ready,
        },
    }


def node() -> Object:
    ready = {"type": "Ready", "status": "True"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "mine-control-plane"},
        "status": {"conditions": [ready]},
    }


def pod(unsupported: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "network-policies-abcde",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": SERVICE.name},
            "annotations": {UNSUPPORTED_ANNOTATION: unsupported} if unsupported else {},
        },
        "spec": {"nodeName": "mine-control-plane", "containers": [{"name": SERVICE.name}]},
        "status": {"phase": "Running"},
    }


def cluster(ready: int, unsupported: str = "") -> FakeApi:
    api = FakeApi()
    for item in (node(), daemon_set(SERVICE.name, NAMESPACE, ready), pod(unsupported)):
        api.add(item)
    return api


def test_nodes_of_devstack_get_a_pod_each() -> None:
    api = FakeApi()
    ctx = context(api)
    assert not SERVICE.capabilities_detected(ctx)
    SERVICE.adapt(ctx)
    assert SERVICE.capabilities_detected(ctx)
    (daemon_set,) = (item for item in SERVICE.manifests(ctx) if item["kind"] == "DaemonSet")
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}


@pytest.mark.parametrize(
    ("api", "has_pools", "says"),
    [(FakeApi(), False, "network plug-in"), (FakeApi(), True, "kindnet")],
    ids=["not devstack's nodes", "kindnet"],
)
def test_off_where_the_cluster_enforces_them(api: FakeApi, has_pools: bool, says: str) -> None:
    if has_pools:
        api.add(kindnet())
    ctx = context(api, has_pools)
    SERVICE.adapt(ctx)
    assert SERVICE.manifests(ctx) == []
    assert SERVICE.observe(ctx) == Ready()
    assert says in SERVICE.describe(ctx)
    assert api.writes == []


def test_ready_when_all_pods_are() -> None:
    ctx = context(cluster(ready=1))
    assert SERVICE.observe(ctx) == Ready()
    assert SERVICE.describe(ctx) == ""


def test_a_pod_that_starts_is_waited_for_and_not_taken_for_one_that_cannot_enforce() -> None:
    ctx = context(cluster(ready=0))
    assert isinstance(SERVICE.observe(ctx), Waiting)
    assert SERVICE.describe(ctx) == ""


def test_a_kernel_that_cannot_enforce_policies_fails_no_up_and_is_named() -> None:
    ctx = context(cluster(ready=1, unsupported="no such file or directory"))
    assert SERVICE.observe(ctx) == Ready()
    assert SERVICE.describe(ctx) == (
        "the kernel of mine-control-plane cannot enforce network policies"
    )


def test_a_new_node_is_done_when_its_pod_enforces_policies_or_cannot() -> None:
    name = "mine-control-plane"
    assert observe_enforced(FakeApi().client(), [name]) == Ready()
    api = cluster(ready=0)
    assert observe_enforced(api.client(), [name]) == Waiting(f"{name} enforces none yet")
    assert observe_enforced(api.client(), []) == Ready()
    assert observe_enforced(cluster(ready=0, unsupported="none").client(), [name]) == Ready()
    ready = pod("")
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    api.add(ready)
    assert observe_enforced(api.client(), [name]) == Ready()


def test_the_program_writes_the_annotation_that_is_read() -> None:
    source = (CONTAINERS / "network-policies" / "support.go").read_text()
    assert f'"{UNSUPPORTED_ANNOTATION}"' in source
