"""Measures gang scheduling, with plain scheduling as the peer in the same run.

On a kind cluster's real API server and scheduler, with nodes that kwok
simulates: this measures scheduling, not the start of containers.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.kube.client import KubeClient, Object
from devstack.kube.manifests import load
from devstack.kube.resources import POD_GROUPS
from scripts.benchmarks.figures import Figure, parse_arguments, report
from tests.conformance.gang_cluster import GangCluster
from tests.conformance.simulated_nodes import SimulatedNodes, kwok
from tests.support.commandline import DATABASE_SERVICES, Devstack

STACK = "bench-gang"
HUNDRED = 100
GANGS, SIZE, SLOTS, SECONDS = 10, 5, 12, 4.0


def main() -> int:
    """Measure, print a table, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        figures = list(_figures(Path(folder), arguments.runs))
    return report(figures, "gang scheduling, and plain scheduling in the same run", arguments.json)


def _figures(folder: Path, runs: int) -> Iterator[Figure]:
    with _stack(folder) as (stack, kube):
        kubeconfig = stack.directory / "admin.kubeconfig"
        with kwok(kubeconfig, folder / "kwok.log"):
            yield from _measure(stack, kube, runs)


@contextmanager
def _stack(folder: Path) -> Iterator[tuple[Devstack, KubeClient]]:
    stack = Devstack(STACK, folder)
    stack.leave_out(*DATABASE_SERVICES)
    stack.run("up", "--timeout", "600", timeout=3600)
    try:
        text = (stack.directory / "admin.kubeconfig").read_text()
        yield stack, KubeClient.from_kubeconfig(text, timeout=60)
    finally:
        stack.run("down")


def _measure(stack: Devstack, kube: KubeClient, runs: int) -> Iterator[Figure]:
    cluster = GangCluster(kube, SimulatedNodes(stack, kube))
    cluster.begin()
    before = _cpu_seconds(stack)
    began = time.monotonic()
    time.sleep(30)
    idle = (_cpu_seconds(stack) - before) / (time.monotonic() - began) * 100
    cluster.nodes.offer(HUNDRED)
    hundred = [_time_pods(cluster, HUNDRED, grouped=True) for _ in range(runs)]
    plain_hundred = [_time_pods(cluster, HUNDRED, grouped=False) for _ in range(runs)]
    what = "100 pods, last one created -> all bound"
    yield Figure(what, "s", _median(hundred), 1.0, peer=_median(plain_hundred))
    waiting = _median([_time_handover(cluster) for _ in range(runs)])
    yield Figure("resources freed -> the waiting gang bound", "s", waiting, 0.5)
    yield _plain_pod(cluster)
    ideal = GANGS * SIZE / (SLOTS // SIZE * SIZE) * SECONDS
    spent = _time_many(cluster)
    yield Figure("10 gangs of 5 on 12 slots, against the ideal", "x", spent / ideal, 1.3)
    yield Figure("the controller's memory", "MiB", _memory(stack), 60.0)
    yield Figure("the controller's idle CPU", "%", idle, 0.5)
    cluster.finish()


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _time_pods(cluster: GangCluster, count: int, *, grouped: bool) -> float:
    """Return seconds from the last pod's creation until all of them have a node."""
    name = f"batch-{time.monotonic_ns()}"
    if grouped:
        _make_group(cluster, name, count)
    for number in range(count):
        _make_pod(cluster, f"{name}-{number}", name if grouped else "")
    sent = time.monotonic()
    _until(lambda: _bound(cluster, name) == count)
    spent = time.monotonic() - sent
    _clear(cluster, name)
    return spent


def _time_handover(cluster: GangCluster) -> float:
    """Return seconds from the end of one gang until the one that waited has its nodes."""
    cluster.nodes.offer(8)
    first, second = (f"half-{time.monotonic_ns()}-{number}" for number in (1, 2))
    for name in (first, second):
        _make_group(cluster, name, 6)
        for number in range(6):
            _make_pod(cluster, f"{name}-{number}", name)
        if name == first:
            _until(lambda: _bound(cluster, first) == 6)
    for number in range(6):
        cluster.kube.delete("v1", "Pod", f"{first}-{number}", cluster.namespace)
    _until(lambda: not _pods(cluster, first))
    released = time.monotonic()
    _until(lambda: _bound(cluster, second) == 6)
    spent = time.monotonic() - released
    _clear(cluster, second)
    return spent


def _plain_pod(cluster: GangCluster) -> Figure:
    """Compare a pod outside of gangs with and without gang scheduling."""
    cluster.nodes.offer(HUNDRED)
    with_gangs = [_time_pods(cluster, 1, grouped=False) for _ in range(40)]
    policies = [item for item in load("gang") if item["kind"].startswith("MutatingAdmission")]
    for item in policies:
        cluster.kube.delete(item["apiVersion"], item["kind"], item["metadata"]["name"])
    without = [_time_pods(cluster, 1, grouped=False) for _ in range(40)]
    for item in policies:
        cluster.kube.apply(item)
    gang, plain = _median(with_gangs) * 1000, _median(without) * 1000
    return Figure("a plain pod, created -> bound, median", "ms", gang, plain + 5, peer=plain)


def _time_many(cluster: GangCluster) -> float:
    cluster.nodes.offer(SLOTS)
    names = [f"many-{number}" for number in range(GANGS)]
    began = time.monotonic()
    for name in names:
        cluster.start(name, SIZE, seconds=SECONDS)
    cluster.await_completed(*names)
    return time.monotonic() - began


def _make_group(cluster: GangCluster, name: str, size: int) -> None:
    policy = {"gang": {"minCount": size}}
    metadata = {"name": name, "namespace": cluster.namespace}
    spec = {"schedulingPolicy": policy}
    cluster.kube.create(
        {"apiVersion": POD_GROUPS, "kind": "PodGroup", "metadata": metadata, "spec": spec}
    )


def _make_pod(cluster: GangCluster, name: str, group: str) -> None:
    template = cluster.nodes.pod(3600, fails=False)
    metadata = {
        **template["metadata"],
        "name": name,
        "namespace": cluster.namespace,
        "labels": {"batch": name.rsplit("-", 1)[0]},
    }
    joined = {"schedulingGroup": {"podGroupName": group}} if group else {}
    spec = {**template["spec"], **joined, "terminationGracePeriodSeconds": 0}
    cluster.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def _pods(cluster: GangCluster, batch: str) -> list[Object]:
    return cluster.kube.list_objects("v1", "Pod", cluster.namespace, labels=f"batch={batch}")


def _bound(cluster: GangCluster, batch: str) -> int:
    return sum(bool(pod["spec"].get("nodeName")) for pod in _pods(cluster, batch))


def _clear(cluster: GangCluster, batch: str) -> None:
    for pod in _pods(cluster, batch):
        cluster.kube.delete("v1", "Pod", pod["metadata"]["name"], cluster.namespace)
    _until(lambda: not _pods(cluster, batch))


def _until(holds: Callable[[], bool], timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            sys.exit("what was being timed did not happen within two minutes")


def _inside(stack: Devstack, script: str) -> str:
    node = f"devstack-{stack.name}-control-plane"
    argv = ["docker", "exec", node, "sh", "-c", script]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _memory(stack: Devstack) -> float:
    line = _inside(stack, "grep VmRSS /proc/$(pgrep -x gang)/status")
    return int(line.split()[1]) / 1024


def _cpu_seconds(stack: Devstack) -> float:
    fields = _inside(stack, "cat /proc/$(pgrep -x gang)/stat").rpartition(")")[2].split()
    ticks_per_second = 100
    return (int(fields[11]) + int(fields[12])) / ticks_per_second


if __name__ == "__main__":
    sys.exit(main())
