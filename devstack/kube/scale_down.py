"""The mark of a node that the autoscaler, or `up`, is removing."""

from __future__ import annotations

from devstack.kube.client import KubeClient, Object

REMOVING = "devstack.dev/scale-down"
"""The annotation of such a node."""

SETTLE_SECONDS = 1.0
"""How long the scheduler may still place pods on a node that was cordoned."""


def is_being_removed(node: Object) -> bool:
    """Return True for a node with the mark."""
    return REMOVING in (node["metadata"].get("annotations") or {})


def begin_removal(kube: KubeClient, name: str) -> None:
    """Mark a node, and let no further pods be placed on it.

    Raises:
        NotFoundError: there is no such node.
    """
    changes = {"metadata": {"annotations": {REMOVING: "true"}}, "spec": {"unschedulable": True}}
    kube.patch("v1", "Node", name, changes)


def cancel_removal(kube: KubeClient, name: str) -> None:
    """Remove the mark, and let pods be placed on the node again."""
    changes = {
        "metadata": {"annotations": {REMOVING: None}},
        "spec": {"unschedulable": None},
    }
    kube.patch("v1", "Node", name, changes)
