"""The nodes of a stack: their state, and the commands that take them out of use."""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import replace
from typing import Any

import psutil
import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.config import StackSpec
from devstack.errors import DevstackError
from devstack.kube.node_status import read_layout
from devstack.kube.shape import read_shape
from devstack.lifecycle import nodes
from devstack.lifecycle.up import up
from devstack.pools.settings import PoolSettings
from devstack.stack import Stack
from tests.fakes.api import FakeApi, namespace, pod
from tests.fakes.pools import GIB, FakePoolProvider
from tests.fakes.stack import World

POOLS = (
    PoolSettings(name="gpu", instance_type="p3.8xlarge", zones=("us-east-1a",), spot=True),
    PoolSettings(name="burst", max=2, cpu=8, memory="32Gi"),
)
SPEC = StackSpec(pool=POOLS)
GPU = "devstack-devstack-gpu-0"
CONTROL_PLANE = "devstack-devstack-control-plane"


@pytest.fixture
def pools(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("devstack.stack.open_stack", lambda *_a, **_o: world.open(SPEC))
    world.provider = FakePoolProvider(world.api)
    world.api.add(namespace("kube-system"))
    up(world.open(SPEC))
    return world


def opened(world: World) -> Stack:
    return world.open(SPEC)


def task(name: str, node: str, **metadata: Any) -> Any:
    requests = {"resources": {"requests": {"cpu": "4", "memory": "8Gi"}}}
    spec = {"containers": [{"name": "work", "image": "x", **requests}], "nodeName": node}
    labels = {"batch.kubernetes.io/job-name": name}
    item = pod(name, "metaflow", labels, spec, phase="Running")
    item["metadata"] |= metadata
    return item


def refused(act: Any, *arguments: Any) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act(*arguments)
    return caught.value


def command(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    capsys.readouterr()
    run((*argv, "--json"), Output())
    return json.loads(capsys.readouterr().out)


def test_up_publishes_the_real_size_and_the_nodes_that_pools_may_add(pools: World) -> None:
    shape = read_shape(pools.api.client())
    assert (shape.has_pools, shape.cpus) == (True, 2)
    assert (shape.memory, shape.memory_limit) == (24 * GIB, 22 * GIB)
    assert list(shape.addable) == ["devstack-devstack-burst-0", "devstack-devstack-burst-1"]
    assert up(opened(pools)) == []
    assert [table.splitlines()[1] for table in shape.unwritten] == [
        'name = "gpu"',
        'name = "burst"',
    ]
    written = replace(SPEC, given=frozenset({"pool"}), pool_file="/x/large.toml")
    assert "shape" in up(pools.open(written))
    shape = read_shape(pools.api.client())
    assert (shape.pool_file, shape.unwritten) == ("/x/large.toml", [])


def test_status_shows_pools_nodes_and_the_machine(
    pools: World, capsys: pytest.CaptureFixture[str]
) -> None:
    service, of_airflow = task("web", GPU, labels={}), task("t-2", GPU, labels={})
    of_airflow["spec"]["restartPolicy"] = "Never"
    pools.api.add(task("t-1", GPU), service, of_airflow)
    data = command(capsys, "status")["data"]
    assert data["machine"] == {"cpus": 2, "memory": 24 * GIB, "memory_limit": 22 * GIB}
    gpu = next(each for each in data["pools"] if each["name"] == "gpu")
    assert (gpu["nodes"], gpu["addable"], gpu["instance_type"]) == (1, 0, "p3.8xlarge")
    assert gpu["offers"]["devices"] == {"nvidia.com/gpu": 4}
    assert gpu["taints"] == ["node.kubernetes.io/lifecycle=spot:NoSchedule"]
    burst = next(each for each in data["pools"] if each["name"] == "burst")
    assert (burst["nodes"], burst["addable"]) == (0, 2)
    node = next(each for each in data["nodes"] if each["name"] == GPU)
    assert (node["state"], node["pods"], node["tasks"]) == ("Ready", 3, ["t-1", "t-2"])
    assert node["free_cpu"] == 20


def test_a_cordoned_node_takes_no_pods_until_it_is_restored(pools: World) -> None:
    stack = opened(pools)
    assert nodes.cordon_node(stack, GPU)
    assert not nodes.cordon_node(stack, GPU)
    assert stack.kube().get("v1", "Node", GPU)["spec"]["unschedulable"]
    nodes.restore_node(stack, GPU)
    assert "unschedulable" not in stack.kube().get("v1", "Node", GPU)["spec"]


def test_a_drained_node_has_no_pods_but_those_of_daemon_sets(pools: World) -> None:
    daemon = task("kindnet", GPU, ownerReferences=[{"kind": "DaemonSet"}])
    mirror = task("etcd", GPU, annotations={"kubernetes.io/config.mirror": "x"})
    pools.api.add(task("t-1", GPU), task("t-2", CONTROL_PLANE), daemon, mirror)
    assert nodes.drain_node(opened(pools), GPU, 60) == ["metaflow/t-1"]
    left = pools.api.client().list_objects("v1", "Pod")
    assert {each["metadata"]["name"] for each in left} == {"t-2", "kindnet", "etcd"}


def test_a_drain_that_takes_too_long_names_the_pods_that_are_left(pools: World) -> None:
    pools.api.add(task("t-1", GPU, finalizers=["keep"]), task("t-2", GPU))
    error = refused(nodes.drain_node, opened(pools), GPU, 5)
    assert error.code == "WAIT_TIMEOUT"
    assert "1 pod has not ended: metaflow/t-1" in error.cause
    assert "stays cordoned" in error.remedy


def test_a_pod_that_its_disruption_budget_keeps_is_named(pools: World) -> None:
    pools.api.add(task("t-1", GPU))
    for _ in range(100):
        pools.api.refuse("POST", "t-1/eviction", 429, "TooManyRequests", "the budget needs 1")
    error = refused(nodes.drain_node, opened(pools), GPU, 1)
    assert "metaflow/t-1 is not evicted: the budget needs 1" in error.cause


def test_a_killed_node_is_not_ready_until_it_is_restored(
    pools: World, capsys: pytest.CaptureFixture[str]
) -> None:
    pools.api.add(task("t-1", GPU))
    assert nodes.kill_node(opened(pools), GPU) == ["metaflow/t-1"]
    found = command(capsys, "node", "list")["data"]["nodes"]
    assert {each["name"]: each["state"] for each in found} == {
        CONTROL_PLANE: "Ready",
        GPU: "NotReady",
    }
    answer = command(capsys, "status")
    assert answer["error"]["remedy"] == f"devstack node restore {GPU}"
    status = answer["data"]
    assert (status["state"], status["detail"]) == ("degraded", f"2 nodes; not ready: {GPU}")
    nodes.restore_node(opened(pools), GPU)
    data = command(capsys, "status")["data"]
    assert data["state"] == "up", data
    found = command(capsys, "node", "list")["data"]["nodes"]
    assert {each["state"] for each in found} == {"Ready"}


@pytest.mark.parametrize("act", [nodes.kill_node, nodes.cordon_node, nodes.restore_node])
def test_an_unknown_node_is_an_error_with_the_closest_name(pools: World, act: Any) -> None:
    error = refused(act, opened(pools), "devstack-devstack-gpu-1")
    assert error.code == "NODE_UNKNOWN"
    assert GPU in error.remedy
    assert CONTROL_PLANE in error.cause


def test_the_control_plane_is_neither_drained_nor_killed(pools: World) -> None:
    assert refused(nodes.kill_node, opened(pools), CONTROL_PLANE).code == "NODE_CONTROL_PLANE"
    drained = refused(nodes.drain_node, opened(pools), CONTROL_PLANE, 60)
    assert drained.code == "NODE_CONTROL_PLANE"


def test_a_node_that_is_restored_gets_the_images_that_were_added_meanwhile(
    pools: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(pools.provider, "restore_node", lambda _name: done.append("restore"))
    monkeypatch.setattr(nodes, "supply_added_images", lambda _stack: done.append("images"))
    nodes.restore_node(opened(pools), GPU)
    assert done == ["restore", "images"]


def test_the_nodes_of_another_provider_are_not_changed(world: World) -> None:
    up(world.open())
    for act in (nodes.cordon_node, nodes.kill_node, nodes.restore_node):
        assert refused(act, world.open(), "node").code == "POOLS_UNSUPPORTED"


def test_up_warns_if_little_real_memory_is_free(
    pools: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(GIB // 2))
    (warning,) = command(capsys, "up")["warnings"]
    assert warning.startswith("0.5 GiB of memory really available; tasks of the stack need 1.0")
    assert "What nodes offer is not limited by it" in warning
    assert "MEMORY_LOW" in warning


def test_without_a_stack_the_commands_say_so(world: World) -> None:
    assert refused(nodes.kill_node, world.open(), "node").code == "STACK_DOWN"


def test_nodes_of_no_pool_are_shown_by_their_size() -> None:
    api = FakeApi()
    for name, cpu in (("a", "4"), ("b", "4"), ("c", "64")):
        allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        node = {"metadata": {"name": name}, "status": {"allocatable": allocatable}}
        api.add({"apiVersion": "v1", "kind": "Node", **node})
    pools = read_layout(api.client()).pools
    assert [(pool.name, pool.nodes, pool.offers.cpu) for pool in pools] == [
        ("", 2, 4),
        ("", 1, 64),
    ]


def test_a_base_worker_on_which_services_run_is_not_stopped(pools: World) -> None:
    pools.api.add(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "worker", "labels": {"devstack.dev/pool": "control-plane"}},
            "spec": {},
        }
    )
    error = refused(nodes.kill_node, opened(pools), "worker")
    assert error.code == "NODE_CONTROL_PLANE"
    assert "the stack's own services run" in error.cause
    assert refused(nodes.drain_node, opened(pools), "worker", 60).code == "NODE_CONTROL_PLANE"
    assert nodes.cordon_node(opened(pools), "worker")
