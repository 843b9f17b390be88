"""Nodes that kwok simulates at no cost; it sets the phases of their pods."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.kube.client import KubeClient, Object
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from tests.conformance.background import running
from tests.conformance.gang_cluster import SLOT
from tests.containers import KWOK
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

SIMULATED = "devstack.dev/simulated"
STAGES = Path(__file__).with_name("kwok-stages.yaml")


class SimulatedNodes:
    """Nodes made for each test; a :class:`Nodes`.

    Args:
        stack: the stack.
        kube: a client of its API, as administrator.
    """

    def __init__(self, stack: Devstack, kube: KubeClient) -> None:
        self._stack = stack
        self._kube = kube

    def offer(self, slots: int) -> None:
        """Offer ``slots`` slots on one new node, and delete the old ones."""
        self.clear()
        self.add(slots)

    def add(self, slots: int) -> None:
        """Add a node."""
        name = f"simulated-{secrets.token_hex(3)}"
        amounts = {"cpu": "1000", "memory": "1000Gi", "pods": "1000", SLOT: "0"}
        self._kube.create(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {SIMULATED: "true"}},
                # Other pods would never run here.
                "spec": {"taints": [{"key": SIMULATED, "effect": "NoSchedule"}]},
                "status": {"capacity": amounts, "allocatable": amounts},
            }
        )
        eventually(f"node {name} to be ready", lambda: self._ready(name))
        # Slots only now: a gang that is tried on a node that is not ready yet backs off, and
        # then their backoff decides which of two starts first.
        self._stack.give_node(name, SLOT, slots)

    def clear(self) -> None:
        """Delete all simulated nodes."""
        for node in self._kube.list_objects("v1", "Node", labels=f"{SIMULATED}=true"):
            self._kube.delete("v1", "Node", node["metadata"]["name"])

    def pod(self, seconds: float, fails: bool) -> Object:
        """Return a pod that pretends to run, and then to end well or not."""
        ending = "failure" if fails else "success"
        annotations = {"devstack.dev/seconds": f"{seconds}s", "devstack.dev/ending": ending}
        resources = {"requests": {SLOT: "1"}, "limits": {SLOT: "1"}}
        spec = {
            "restartPolicy": "Never",
            "nodeSelector": {SIMULATED: "true"},
            "tolerations": [{"key": SIMULATED, "operator": "Exists"}],
            "containers": [{"name": "task", "image": "none", "resources": resources}],
        }
        return {"metadata": {"annotations": annotations}, "spec": spec}

    def _ready(self, name: str) -> bool:
        node = self._kube.get("v1", "Node", name)
        taints = {taint["key"] for taint in node["spec"].get("taints", [])}
        return taints == {SIMULATED}


@contextmanager
def kwok(kubeconfig: Path, log: Path) -> Iterator[None]:
    """Run kwok, which acts as the kubelet of the simulated nodes.

    Args:
        kubeconfig: the administrator's.
        log: the file for its output.
    """
    program = Compiler(SubprocessRunner(), Silent(), ArtifactCache()).ensure([KWOK])["kwok"]
    argv = [str(program), "--kubeconfig", str(kubeconfig), "--config", str(STAGES)]
    argv += ["--manage-nodes-with-label-selector", f"{SIMULATED}=true"]
    argv += ["--node-lease-duration-seconds", "40"]
    with running(argv, log):
        yield
