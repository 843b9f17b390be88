"""The free resources of nodes, and which pods fit.

The gang controller (containers/gang) computes the same for gangs, with the scheduler's own
packages; tests/conformance/pod-fit.json holds both to the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from devstack import quantity
from devstack.kube.client import KubeClient, Object
from devstack.kube.node_selection import node_mismatch
from devstack.kube.pod_requests import Amounts, pod_requests

_PODS = "pods"
"""The resource that limits the number of pods of a node; every pod takes one."""


@dataclass
class NodeCapacity:
    """A node and its free resources.

    Attributes:
        node: the node, as the API has it.
        free: the allocatable resources that no pod requests.
        pods: the pods on the node that have not ended.
    """

    node: Object
    free: Amounts
    pods: list[Object] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])

    def reserve(self, pod: Object) -> None:
        """Subtract what a pod requests."""
        self.subtract(node_requests(pod))

    def subtract(self, amounts: Amounts) -> None:
        """Subtract amounts from what is free."""
        for resource, amount in amounts.items():
            self.free[resource] = self.free.get(resource, Decimal(0)) - amount

    def copy(self) -> NodeCapacity:
        """Return a copy whose free resources are its own."""
        return NodeCapacity(self.node, dict(self.free), self.pods)


def measure_capacity(
    client: KubeClient, counts: Callable[[Object], bool] = lambda _pod: True
) -> list[NodeCapacity]:
    """Return the capacity of all nodes, by name.

    Args:
        client: reads the nodes, and the pods on them.
        counts: returns True for a pod whose requests count; by default all.
    """
    nodes = {
        node["metadata"]["name"]: node_capacity(node) for node in client.list_objects("v1", "Node")
    }
    running = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
    for pod in client.list_objects("v1", "Pod", fields=running):
        node = nodes.get(pod["spec"].get("nodeName", ""))
        if node is not None and counts(pod):
            node.pods.append(pod)
            node.reserve(pod)
    return [nodes[name] for name in sorted(nodes)]


def node_capacity(node: Object) -> NodeCapacity:
    """Return the capacity of a node without pods."""
    allocatable = node.get("status", {}).get("allocatable", {})
    return NodeCapacity(
        node, {name: quantity.parse(text) or Decimal(0) for name, text in allocatable.items()}
    )


def fit(pods: Sequence[Object], nodes: Iterable[NodeCapacity]) -> int:
    """Return how many of the pods fit on the nodes together, the large ones first."""
    left = [node.copy() for node in nodes]
    fitting = 0
    for pod in sorted(pods, key=pod_size, reverse=True):
        node = next((node for node in left if not unfit_reason(pod, node)), None)
        if node is not None:
            node.reserve(pod)
            fitting += 1
    return fitting


def unfit_reason(pod: Object, node: NodeCapacity) -> str:
    """Return why the pod does not fit on the node, as a short phrase; empty if it fits."""
    if mismatch := node_mismatch(pod, node.node):
        return mismatch
    for resource, amount in sorted(node_requests(pod).items()):
        if amount > 0 and amount > node.free.get(resource, Decimal(0)):
            return f"has too little {resource}"
    return ""


def node_requests(pod: Object) -> Amounts:
    """Return what a pod uses of a node, including its place among the node's pods."""
    return {**pod_requests(pod), _PODS: Decimal(1)}


def pod_size(pod: Object) -> tuple[Decimal, Decimal]:
    """Return by what pods are compared: CPUs first, then memory."""
    requests = pod_requests(pod)
    return requests.get("cpu", Decimal(0)), requests.get("memory", Decimal(0))
