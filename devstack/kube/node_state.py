"""Whether a node is Ready, and of the size that it is to have."""

from __future__ import annotations

from devstack import quantity
from devstack.kube.client import Object
from devstack.kube.conditions import is_ready
from devstack.pools.nodes import NodeSpec


def node_lacks(node: Object | None, spec: NodeSpec) -> str:
    """Return what is missing until a node is Ready and of its size, after "node NAME"."""
    if node is None:
        return "has not registered"
    if not is_ready(node):
        return "is not Ready"
    capacity = node.get("status", {}).get("capacity", {})
    cpu, memory = (quantity.parse(capacity.get(name, "0")) for name in ("cpu", "memory"))
    # The kubelet's unit is a KiB.
    if cpu != spec.cpu or (memory or 0) // 1024 != spec.memory // 1024:
        return f"offers {capacity.get('cpu')} CPUs and {capacity.get('memory')}"
    return ""
