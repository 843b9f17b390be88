"""Patches of the configuration that kind passes to kubeadm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def cluster_patch(operations: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return a patch of kubeadm's ClusterConfiguration, in kind's form.

    Unlike a merge patch, it can extend lists that kind has filled.

    Args:
        operations: of a JSON patch (RFC 6902).
    """
    return {
        "group": "kubeadm.k8s.io",
        "version": "v1beta4",
        "kind": "ClusterConfiguration",
        "patch": json.dumps(operations),
    }


def add_flags(component: str, flags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the operations that add flags to a component of the control plane.

    Args:
        component: its name in ClusterConfiguration, such as "scheduler".
        flags: values by name; they override kubeadm's.
    """
    path = f"/{component}/extraArgs/-"
    return [
        {"op": "add", "path": path, "value": {"name": name, "value": value}}
        for name, value in flags.items()
    ]
