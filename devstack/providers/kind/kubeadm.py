"""Patches of the configuration that kind gives kubeadm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def cluster_patch(operations: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return kind's patch of kubeadm's ClusterConfiguration.

    It can add to lists that kind has filled, which a merge patch would replace.

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
    """Return the operations that give a component of the control plane more flags.

    Args:
        component: as ClusterConfiguration calls it, such as "scheduler".
        flags: values by name; where kubeadm sets a flag too, these count.
    """
    path = f"/{component}/extraArgs/-"
    return [
        {"op": "add", "path": path, "value": {"name": name, "value": value}}
        for name, value in flags.items()
    ]
