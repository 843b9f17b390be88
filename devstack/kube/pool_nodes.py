"""Labels, taints and devices of pool nodes, in the cluster's API.

The node agent offers the devices that an annotation of its node names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from devstack.kube.client import KubeClient, Object
from devstack.parallel import in_parallel
from devstack.pools.nodes import NodeSpec

DEVICES_ANNOTATION = "devstack.dev/devices"
"""A JSON object with the number of devices of each extended resource; node-agent reads it."""

_SET_ANNOTATION = "devstack.dev/attributes"
"""A JSON object with the labels and taints that devstack has set, to be able to remove them."""

PODS_MAX = 110
"""The most pods that a kubelet runs by default."""

STARTING_TAINT = "devstack.dev/starting:NoSchedule"
"""The taint of a node that lacks its labels or images yet."""


def is_starting(node: Object) -> bool:
    """Return True for a node that has :data:`STARTING_TAINT`."""
    key = build_taint(STARTING_TAINT)["key"]
    return any(each["key"] == key for each in node.get("spec", {}).get("taints") or [])


def remove_taint(kube: KubeClient, name: str, text: str) -> None:
    """Remove a taint from a node, if it has it."""
    taints = kube.get("v1", "Node", name)["spec"].get("taints") or []
    kept = [each for each in taints if each["key"] != build_taint(text)["key"]]
    if kept != taints:
        kube.patch("v1", "Node", name, {"spec": {"taints": kept}})


def ensure_attributes(kube: KubeClient, nodes: Mapping[str, NodeSpec]) -> None:
    """Give each node the labels, taints and devices of its pool.

    Args:
        kube: writes the nodes.
        nodes: what the nodes are to be, by the node's name.

    Raises:
        NotFoundError: a node does not exist.
    """

    def ensure(name: str) -> None:
        node = kube.get("v1", "Node", name)
        if lacks_attributes(node, nodes[name]):
            kube.apply(_attributes(node, nodes[name]))

    in_parallel(ensure, nodes)


def build_node(name: str, spec: NodeSpec) -> Object:
    """Return a node as the API will have it, before a pod runs on it."""
    allocatable = {
        "cpu": str(spec.cpu),
        "memory": str(spec.memory),
        "ephemeral-storage": str(spec.disk),
        "pods": str(PODS_MAX),
        **{resource: str(count) for resource, count in spec.extended.items()},
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **spec.labels}},
        "spec": {"taints": [build_taint(text) for text in spec.taints]},
        "status": {"capacity": allocatable, "allocatable": allocatable},
    }


def lacks_attributes(node: Object, spec: NodeSpec) -> bool:
    """Return True if :func:`ensure_attributes` would change the node."""
    labels = node["metadata"].get("labels", {})
    taints = node["spec"].get("taints", [])
    return (
        not spec.labels.items() <= labels.items()
        or any(build_taint(text) not in taints for text in spec.taints)
        or _annotation(node) != _devices(spec)
        or _annotation(node, _SET_ANNOTATION) != _record(spec)
    )


def missing_devices(node: Object) -> str:
    """Return the first resource of a node's annotation that it does not offer yet, or ``""``."""
    offered = node.get("status", {}).get("allocatable", {})
    wanted = annotated_devices(node)
    return next((name for name in wanted if offered.get(name) != str(wanted[name])), "")


def annotated_devices(node: Object) -> dict[str, int]:
    """Return the number of devices of each resource that a node is to offer."""
    wanted: dict[str, int] = json.loads(_annotation(node) or "{}")
    return wanted


def _annotation(node: Object, name: str = DEVICES_ANNOTATION) -> str:
    return str((node["metadata"].get("annotations") or {}).get(name, ""))


def _devices(spec: NodeSpec) -> str:
    return json.dumps(dict(spec.extended), sort_keys=True)


def _record(spec: NodeSpec) -> str:
    # This taint is removed when the node has its images.
    taints = [each for each in spec.taints if each != STARTING_TAINT]
    return json.dumps({"labels": dict(spec.labels), "taints": taints}, sort_keys=True)


def _attributes(node: Object, spec: NodeSpec) -> Object:
    # Server-side apply removes the labels that it set before and that are not among these. The
    # list of taints is replaced as a whole, with those that Kubernetes has set.
    wanted = [build_taint(text) for text in spec.taints]
    before = json.loads(_annotation(node, _SET_ANNOTATION) or "{}").get("taints", [])
    replaced = {_taint_id(each) for each in (*wanted, *map(build_taint, before))}
    others = [each for each in node["spec"].get("taints", []) if _taint_id(each) not in replaced]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node["metadata"]["name"],
            "labels": dict(spec.labels),
            "annotations": {
                DEVICES_ANNOTATION: _devices(spec),
                _SET_ANNOTATION: _record(spec),
            },
        },
        "spec": {"taints": [*others, *wanted]},
    }


def _taint_id(taint: Object) -> tuple[str, str]:
    """Return what no two taints of a node have in common."""
    return taint["key"], taint["effect"]


def build_taint(text: str) -> dict[str, str]:
    """Return the taint ``key=value:Effect`` as the API has it."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return {"key": key, **({"value": value} if value else {}), "effect": effect}
