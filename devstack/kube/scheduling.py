"""Why the scheduler finds no node for a pod, and whether it ever will."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from devstack.kube import quantity
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.volumes import pending_claim
from devstack.waits import Failed, Observation, Waiting


def observe_unscheduled(client: KubeClient, pod: Object, message: str) -> Observation:
    """Say why a pod has no node.

    Args:
        client: reads the nodes and the pod's volume claims.
        pod: a pod whose PodScheduled condition is false.
        message: what the scheduler says.

    Returns:
        Failed where no node would have room even if it were empty, or where
        no node carries the labels that the pod asks for; Waiting where room or
        a volume may yet come.
    """
    name = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    nodes = _nodes(client)
    for resource, asked in requests_of(pod).items():
        most = max((_offers(node, resource) for node in nodes), default=None)
        if most is not None and asked > most:
            return _too_large(name, resource, asked, most, message)
    selector = pod["spec"].get("nodeSelector") or {}
    if selector and nodes and not any(_carries(node, selector) for node in nodes):
        return _no_such_node(name, selector, message)
    claim = pending_claim(client, pod)
    return Waiting(f"{name} has no node yet: {message}" + (f"; {claim}" if claim else ""))


def _too_large(name: str, resource: str, asked: Decimal, most: Decimal, message: str) -> Failed:
    return Failed(
        f"{name} can never be scheduled: it asks for {written(resource, asked)} of {resource},"
        f" and no node has more than {written(resource, most)} ({message})",
        remedy=f"ask for less {resource}, or give the machine or Docker more",
        code="POD_UNSCHEDULABLE",
    )


def _no_such_node(name: str, selector: Mapping[str, str], message: str) -> Failed:
    wanted = ", ".join(f"{key}={value}" for key, value in selector.items())
    return Failed(
        f"{name} can never be scheduled: no node has the labels {wanted} ({message})",
        remedy="change the node selector, or label a node with `kubectl label node`",
        code="POD_UNSCHEDULABLE",
    )


def _nodes(client: KubeClient) -> list[Object]:
    try:
        return client.list_objects("v1", "Node")
    except ApiError:  # a submitter may not see the nodes
        return []


def _offers(node: Object, resource: str) -> Decimal:
    allocatable = node.get("status", {}).get("allocatable", {})
    return quantity.parse(allocatable.get(resource, "0")) or Decimal(0)


def _carries(node: Object, selector: Mapping[str, str]) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in selector.items())


def requests_of(pod: Object) -> dict[str, Decimal]:
    """Return what a pod asks for: its containers' sum, or the largest init container's."""
    spec = pod["spec"]
    total = _sum(spec["containers"])
    for first in spec.get("initContainers", []):
        for resource, amount in _sum([first]).items():
            total[resource] = max(total.get(resource, Decimal(0)), amount)
    return total


def _sum(containers: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for container in containers:
        for resource, text in container.get("resources", {}).get("requests", {}).items():
            amount = quantity.parse(text) or Decimal(0)
            total[resource] = total.get(resource, Decimal(0)) + amount
    return total


def written(resource: str, amount: Decimal) -> str:
    """Return an amount of a resource as people write it: "0.2", "256 MiB"."""
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        return f"{amount / 2**20:,.0f} MiB"
    return f"{amount.normalize():f}"
