"""What the status of an object says: its conditions, and whether a pod has ended."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.kube.client import Object


def condition_of(item: Object, kind: str) -> Object:
    """Return a condition of an object; empty if it has none of that type."""
    conditions: Sequence[Object] = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def is_ready(item: Object) -> bool:
    """Return True for a pod that serves, or a node whose kubelet can run pods."""
    return condition_of(item, "Ready").get("status") == "True"


def has_ended(pod: Object) -> bool:
    """Return True if no container of a pod will run again."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
