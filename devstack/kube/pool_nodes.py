"""Labels, taints and extended resources of pool nodes, in the cluster's API."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.kube.client import KubeClient, Object
from devstack.pools.nodes import NodeSpec


def ensure_attributes(kube: KubeClient, nodes: Mapping[str, NodeSpec]) -> None:
    """Give each node the labels, taints and extended resources of its pool.

    Args:
        kube: writes the nodes.
        nodes: what the nodes are to be, by the node's name.

    Raises:
        NotFoundError: a node does not exist.
    """
    for name, spec in nodes.items():
        node = kube.get("v1", "Node", name)
        if _lacks_labels_or_taints(node, spec):
            kube.apply(_labels_and_taints(node, spec))
        if _lacks_resources(node, spec):
            kube.apply(_resources(name, spec), subresource="status")


def lacks_attributes(node: Object, spec: NodeSpec) -> bool:
    """Return True if :func:`ensure_attributes` would change the node."""
    return _lacks_labels_or_taints(node, spec) or _lacks_resources(node, spec)


def _lacks_labels_or_taints(node: Object, spec: NodeSpec) -> bool:
    labels = node["metadata"].get("labels", {})
    taints = node["spec"].get("taints", [])
    return not spec.labels.items() <= labels.items() or any(
        _taint(text) not in taints for text in spec.taints
    )


def _lacks_resources(node: Object, spec: NodeSpec) -> bool:
    offered = node.get("status", {}).get("allocatable", {})
    return any(offered.get(name) != str(count) for name, count in spec.extended.items())


def _labels_and_taints(node: Object, spec: NodeSpec) -> Object:
    # The list of taints is replaced as a whole, with those that Kubernetes has set.
    wanted = [_taint(text) for text in spec.taints]
    others = [each for each in node["spec"].get("taints", []) if each not in wanted]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node["metadata"]["name"], "labels": dict(spec.labels)},
        "spec": {"taints": [*others, *wanted]},
    }


def _resources(name: str, spec: NodeSpec) -> Object:
    counts = {resource: str(count) for resource, count in spec.extended.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"capacity": counts, "allocatable": counts},
    }


def _taint(text: str) -> dict[str, str]:
    """Return the taint ``key=value:Effect`` as the API has it."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return {"key": key, **({"value": value} if value else {}), "effect": effect}
