"""Nodes of any size on a stack that is up, and what keeps the stack alive on a small machine."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from devstack.quantity import parse as parse_quantity
from tests.support.cluster import node
from tests.support.commandline import Devstack
from tests.support.eventually import eventually
from tests.support.interruption import START, interrupt

GIB = 1024**3
FLOWS = Path(__file__).parent / "flows"
WORK = "name=work,cpu=3,memory=5Gi,disk=7Gi,zones=us-east-1a,labels=team=a,taints=team=a:NoSchedule"
_HASH = "jsonpath={.items[0].metadata.annotations.kubernetes\\.io/config\\.hash}"
"""The uid of a pod that the kubelet has read from a file."""
_UID = "jsonpath={.items[0].metadata.uid}"
NO_POOLS = ("--pool", "name=control-plane")


@pytest.fixture(scope="module")
def pools(stack: Devstack) -> Iterator[Devstack]:
    """The shared stack with a pool of one node; afterwards, without."""
    stack.run("up", "--pool", WORK)
    assert disk_of(stack, "work-0").startswith("/dev/loop")
    yield stack
    stack.run("up", *NO_POOLS)
    assert set(nodes(stack)) == {f"devstack-{stack.name}-control-plane"}
    eventually("disks of removed nodes to be free", lambda: not disks_of_removed_nodes())


def nodes(stack: Devstack) -> dict[str, Any]:
    """Return the nodes of the API by name."""
    items = json.loads(stack.admin_kubectl("get", "nodes", "-ojson").stdout)["items"]
    return {each["metadata"]["name"]: each for each in items}


def work(stack: Devstack) -> Any:
    """Return the node of the pool."""
    return nodes(stack)[f"devstack-{stack.name}-work-0"]


def offers(found: Any, resource: str) -> float:
    """Return how much of a resource a node offers."""
    return float(parse_quantity(found["status"]["capacity"][resource]) or 0)


def restarts(stack: Devstack) -> dict[str, int]:
    """Return the restarts of all containers but those of flows, by the pod's and its own name."""
    pods = json.loads(stack.admin_kubectl("get", "pods", "-A", "-ojson").stdout)["items"]
    return {
        f"{pod['metadata']['name']}/{status['name']}": status["restartCount"]
        for pod in pods
        if pod["metadata"]["namespace"] != "metaflow"
        for status in pod["status"].get("containerStatuses", [])
    }


def disk_of(stack: Devstack, name: str) -> str:
    """Return the device of the kubelet's files."""
    found = node(stack, name).exec_run(["findmnt", "-no", "SOURCE", "/var/lib/kubelet"])
    return str(found.output.decode().strip())


def disks_of_removed_nodes() -> list[str]:
    """Return the loop devices of this machine whose file is deleted."""
    found = Path("/sys/block").glob("loop*/loop/backing_file")
    return [str(file) for file in found if file.read_text().strip().endswith("(deleted)")]


def memory_of_pods(container: Any, *files: str) -> int:
    """Return a value of the cgroup of all pods of a node, in bytes.

    Args:
        container: the node.
        files: the name of the value's file in cgroup v2, and in v1.
    """
    folders = ("/sys/fs/cgroup/kubelet.slice", "/sys/fs/cgroup/memory/kubelet.slice")
    paths = [f"{folder}/{file}" for folder, file in zip(folders, files, strict=True)]
    return int(container.exec_run(["sh", "-c", f"cat {' '.join(paths)} 2>/dev/null"]).output)


def limit_of_pods(container: Any) -> int:
    """Return the real memory that all pods of a node may use."""
    return memory_of_pods(container, "memory.max", "memory.limit_in_bytes")


@contextmanager
def little_memory(stack: Devstack, spare: int) -> Iterator[None]:
    """Let tasks on the control plane's node use no more than ``spare`` bytes, in the meantime."""
    settings = stack.directory / "nodes" / node(stack).name / "settings"
    before = settings.read_text()
    reserve = psutil.virtual_memory().available - spare
    settings.write_text(re.sub("(?m)^MEMORY_RESERVE=.*", f"MEMORY_RESERVE={reserve}", before))
    try:
        yield
    finally:
        settings.write_text(before)


def test_the_only_node_offers_more_than_the_machine(stack: Devstack) -> None:
    found = nodes(stack)[f"devstack-{stack.name}-control-plane"]
    assert (offers(found, "cpu"), offers(found, "memory")) == (64, 256 * GIB)
    # A file system needs a little for itself.
    assert 0.99 < offers(found, "ephemeral-storage") / (1024 * GIB) <= 1
    real = docker.from_env().info()["MemTotal"]
    assert 0 < limit_of_pods(node(stack)) < real


def weight_in_node(stack: Devstack, cgroup: str) -> int:
    """Return the CPU weight of a cgroup below `kubelet.slice`; 0 while it is recreated."""
    path = f"kubelet.slice/{cgroup}"
    files = [f"/sys/fs/cgroup/{path}/cpu.weight", f"/sys/fs/cgroup/cpu/{path}/cpu.shares"]
    read = ["sh", "-c", f"cat {' '.join(files)} 2>/dev/null"]
    return int(node(stack).exec_run(read).output.decode().strip() or 0)


def weight_of_a_pod(stack: Devstack, uid: str) -> int:
    """Return the CPU weight of a burstable pod of the control plane's node."""
    burstable = "kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
    pod = f"kubelet-kubepods-burstable-pod{uid.replace('-', '_')}.slice"
    return weight_in_node(stack, f"{burstable}/{pod}")


@pytest.mark.parametrize(
    ("query", "weights"),
    [
        (("-n", "kube-system", "-l", "component=kube-apiserver", "-o", _HASH), (3656, 81920)),
        (("-n", "devstack", "-l", "app.kubernetes.io/name=minio", "-o", _UID), (1134, 20480)),
    ],
    ids=["control-plane", "service"],
)
def test_services_come_before_tasks_for_the_cpus(
    stack: Devstack, query: tuple[str, ...], weights: tuple[int, int]
) -> None:
    # A task that requests one CPU has 39 or 100 of 10,000 in cgroup v2, 1024 in v1.
    def has_the_weight() -> bool:
        return weight_of_a_pod(stack, stack.admin_kubectl("get", "pods", *query).stdout) in weights

    eventually("the weight", has_the_weight)


def test_the_kubelet_comes_before_all_pods_for_the_cpus(stack: Devstack) -> None:
    kubelet = weight_in_node(stack, "kubelet.service")
    assert kubelet > weight_in_node(stack, "kubelet-kubepods.slice") > 0


def test_a_pool_is_added_and_resized_while_the_services_continue(pools: Devstack) -> None:
    before = restarts(pools)
    found = work(pools)
    assert (offers(found, "cpu"), offers(found, "memory")) == (3, 5 * GIB)
    assert 0.9 < offers(found, "ephemeral-storage") / (7 * GIB) <= 1
    assert found["metadata"]["labels"]["topology.kubernetes.io/region"] == "us-east-1"
    assert {"key": "team", "value": "a", "effect": "NoSchedule"} in found["spec"]["taints"]
    pools.run("up", "--pool", WORK.replace("cpu=3", "cpu=40"))
    assert offers(work(pools), "cpu") == 40
    # A kubelet that was restarted calls its pods not ready for a moment.
    eventually("nothing to change", lambda: pools.json("up")["data"]["changed"] == [])
    assert {name: count for name, count in restarts(pools).items() if name in before} == before


def test_a_node_that_lost_its_power_is_restored_with_its_size(pools: Devstack) -> None:
    name = work(pools)["metadata"]["name"]
    size = offers(work(pools), "ephemeral-storage")
    pools.run("node", "kill", name)
    pools.run("node", "restore", name)
    assert offers(work(pools), "ephemeral-storage") == size
    node(pools, "work-0").restart(timeout=5)
    pools.run("up")
    assert offers(work(pools), "ephemeral-storage") == size


@pytest.mark.parametrize("when", [START, "Bring up the kind cluster"])
def test_a_killed_up_is_continued(pools: Devstack, when: str) -> None:
    more = ("--pool", WORK.replace("name=work", "name=more"), "--pool", WORK)
    interrupt(pools, "up", *more, when=when, sign=signal.SIGKILL)
    pools.run("up", *more)
    assert f"devstack-{pools.name}-more-0" in nodes(pools)
    pools.run("up", "--pool", WORK)
    assert f"devstack-{pools.name}-more-0" not in nodes(pools)


@pytest.mark.parametrize("hogs", [1, 30])
def test_pods_that_use_too_much_memory_are_killed_and_the_services_are_not(
    stack: Devstack, hogs: int
) -> None:
    before = restarts(stack)
    options = ["--max-workers", "30", "--hogs", str(hogs)]
    with little_memory(stack, GIB):
        envelope = stack.json("run", str(FLOWS / "hog.py"), "--", *options, check=False)
        # The control plane answers as before.
        assert stack.admin_kubectl("get", "pods", "-A").returncode == 0
    assert "(OOMKilled, exit status 137)" in envelope["error"]["cause"]
    assert "--max-workers" in envelope["error"]["remedy"]
    eventually("the services to be ready", lambda: stack.json("status")["data"]["state"] == "up")
    assert {name: count for name, count in restarts(stack).items() if name in before} == before
