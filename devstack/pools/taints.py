"""Taints as text, and those that come and go with the state of a node, which no pool has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_OF_STATE = re.compile(
    # Kubernetes: "Taint based Evictions", well-known taints, and the cloud providers' controllers.
    r"^(node\.kubernetes\.io/(not-ready|unreachable|unschedulable|network-unavailable"
    r"|(memory|disk|pid)-pressure|out-of-service)$"
    r"|node\.cloudprovider\.kubernetes\.io/"
    # The cluster autoscaler, Karpenter, and GKE on a node that is being added or removed.
    r"|(ToBeDeleted|DeletionCandidateOf)"
    r"|(startup|status|ignore)-taint\.cluster-autoscaler\.kubernetes\.io/"
    r"|karpenter\.sh/(disrupted|disruption|unregistered)$"
    r"|cloud\.google\.com/impending-node-termination$"
    # Network and storage drivers until they run on the node: Cilium, EBS, EFS, FSx.
    r"|[^/]+/agent-not-ready$"
    r"|devstack\.dev/)"
)


def is_taint_of_state(key: str) -> bool:
    """Return True for the key of a taint that a node has only while it is in some state."""
    return bool(_OF_STATE.search(key))


def format_taint(taint: Mapping[str, Any]) -> str:
    """Return a taint of the API as ``key=value:Effect``."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
