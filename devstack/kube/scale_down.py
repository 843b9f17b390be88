"""The mark of a node that the autoscaler is removing."""

from __future__ import annotations

from devstack.kube.client import KubeClient, Object

REMOVING = "devstack.dev/scale-down"
"""The annotation of such a node."""


def is_being_removed(node: Object) -> bool:
    """Return True for a node with the mark."""
    return REMOVING in (node["metadata"].get("annotations") or {})


def cancel_removal(kube: KubeClient, name: str) -> None:
    """Remove the mark, and let pods be placed on the node again."""
    changes = {
        "metadata": {"annotations": {REMOVING: None}},
        "spec": {"unschedulable": None},
    }
    kube.patch("v1", "Node", name, changes)
