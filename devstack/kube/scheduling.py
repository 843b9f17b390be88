"""Why the scheduler finds no node for a pod, and whether it ever will."""

from __future__ import annotations

from decimal import Decimal

from devstack import quantity
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.node_selection import format_affinity, label_mismatch
from devstack.kube.pod_requests import format_amount, pod_requests
from devstack.kube.volumes import pending_claim
from devstack.waits import Failed, Observation, Waiting


def observe_unscheduled(client: KubeClient, pod: Object, message: str) -> Observation:
    """Return why a pod has no node.

    Args:
        client: reads the nodes and the pod's volume claims.
        pod: a pod whose PodScheduled condition is false.
        message: the message of that condition.

    Returns:
        Failed if the pod requests more than any node's allocatable resources, or labels that no
        node has; Waiting if resources or a volume may become available.
    """
    name = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    nodes = _nodes(client)
    for resource, requested in pod_requests(pod).items():
        most = max((_allocatable(node, resource) for node in nodes), default=None)
        if most is not None and requested > most:
            return _too_large(name, resource, requested, most, message)
    if nodes and all(label_mismatch(pod, node) for node in nodes):
        return _no_such_node(name, pod, message)
    claim = pending_claim(client, pod)
    return Waiting(f"{name} has no node yet: {message}" + (f"; {claim}" if claim else ""))


def _too_large(name: str, resource: str, requested: Decimal, most: Decimal, message: str) -> Failed:
    return Failed(
        f"{name} can never be scheduled: it requests {format_amount(resource, requested)} of"
        f" {resource}, and no node has more than {format_amount(resource, most)} ({message})",
        remedy=f"request less {resource}, or give the machine more",
        code="POD_UNSCHEDULABLE",
    )


def _no_such_node(name: str, pod: Object, message: str) -> Failed:
    selector = pod["spec"].get("nodeSelector") or {}
    wanted = ", ".join(f"{key}={value}" for key, value in selector.items())
    labels = " and ".join(text for text in (wanted, format_affinity(pod)) if text)
    return Failed(
        f"{name} can never be scheduled: no node has the labels {labels} ({message})",
        remedy="change the node selector or affinity, or label a node with `kubectl label node`",
        code="POD_UNSCHEDULABLE",
    )


def _nodes(client: KubeClient) -> list[Object]:
    try:
        return client.list_objects("v1", "Node")
    except ApiError:  # the account that submits flows may not read nodes
        return []


def _allocatable(node: Object, resource: str) -> Decimal:
    allocatable = node.get("status", {}).get("allocatable", {})
    return quantity.parse(allocatable.get(resource, "0")) or Decimal(0)
