"""One stack for all cases, and the clusters that they run against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devstack.images.catalogue import IMAGES
from devstack.kube.client import KubeClient
from tests.conformance.gang_cluster import GangCluster, Nodes
from tests.conformance.real_nodes import RealNodes
from tests.conformance.simulated_nodes import SimulatedNodes, kwok
from tests.support.commandline import DATABASE_SERVICES, Devstack


@dataclass(frozen=True)
class Target:
    """A stack with gang scheduling, as its administrator reaches it."""

    stack: Devstack
    kubeconfig: Path

    @property
    def kube(self) -> KubeClient:
        """The API."""
        return KubeClient.from_kubeconfig(self.kubeconfig.read_text(), timeout=60)


@pytest.fixture(scope="package")
def target(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Target]:
    """A stack on kind."""
    stack = Devstack("conformance", tmp_path_factory.mktemp("conformance"))
    stack.leave_out(*DATABASE_SERVICES)
    with stack.brought_up("--kubernetes", pytestconfig.getoption("--kubernetes")):
        yield Target(stack, stack.directory / "admin.kubeconfig")


@pytest.fixture(scope="package")
def kind_nodes(target: Target) -> Nodes:
    """The stack's own node, on which pods really run."""
    node = f"devstack-{target.stack.name}-control-plane"
    return RealNodes(target.stack, node, IMAGES["task"].reference)


@pytest.fixture(scope="package")
def simulated_nodes(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Nodes that exist only for the API server and the scheduler."""
    with kwok(target.kubeconfig, tmp_path_factory.mktemp("kwok") / "kwok.log"):
        nodes = SimulatedNodes(target.stack, target.kube)
        yield nodes
        nodes.clear()


@pytest.fixture
def cluster(request: pytest.FixtureRequest, target: Target) -> Iterator[GangCluster]:
    """A cluster with gangs, on the nodes that the case is to run on."""
    nodes: Nodes = request.getfixturevalue(f"{request.param}_nodes")
    made = GangCluster(target.kube, nodes)
    made.begin()
    yield made
    made.finish()


@pytest.fixture
def large(target: Target, simulated_nodes: Nodes) -> Iterator[GangCluster]:
    """A cluster for cases of size."""
    made = GangCluster(target.kube, simulated_nodes)
    made.begin()
    yield made
    made.finish()


Scale = Callable[[str, str, int], None]


@pytest.fixture
def scale(target: Target) -> Iterator[Scale]:
    """Set the number of replicas of a Deployment; restore it afterwards."""
    changed = []

    def set_replicas(namespace: str, name: str, replicas: int) -> None:
        changed.append((namespace, name))
        target.stack.admin_kubectl(
            "scale", "-n", namespace, f"deploy/{name}", f"--replicas={replicas}"
        )
        target.stack.admin_kubectl(
            "wait",
            "-n",
            namespace,
            f"deploy/{name}",
            f"--for=jsonpath={{.spec.replicas}}={replicas}",
        )
        target.stack.admin_kubectl(
            "rollout", "status", "-n", namespace, f"deploy/{name}", "--timeout=120s"
        )

    yield set_replicas
    for namespace, name in set(changed):
        set_replicas(namespace, name, 1)
