"""Patches of the configuration that kind passes to kubeadm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from devstack.images.kubernetes_versions import parse_minor

_FIRST_WITH_V1BETA4 = (1, 36)
"""kind writes v1beta3 for earlier versions of Kubernetes (kind: cluster/internal/kubeadm)."""


def cluster_patch(operations: Sequence[dict[str, Any]], kubernetes: str) -> dict[str, str]:
    """Return a patch of kubeadm's ClusterConfiguration, in kind's form.

    Unlike a merge patch, it can extend lists that kind has filled.

    Args:
        operations: of a JSON patch (RFC 6902).
        kubernetes: the minor version of Kubernetes.
    """
    return {
        "group": "kubeadm.k8s.io",
        "version": "v1beta4" if _has_v1beta4(kubernetes) else "v1beta3",
        "kind": "ClusterConfiguration",
        "patch": json.dumps(operations),
    }


def add_flags(component: str, flags: Mapping[str, str], kubernetes: str) -> list[dict[str, Any]]:
    """Return the operations that add flags to a component of the control plane.

    Args:
        component: its name in ClusterConfiguration, such as "scheduler".
        flags: values by name; they override kubeadm's.
        kubernetes: the minor version of Kubernetes.
    """
    path = f"/{component}/extraArgs"
    if not _has_v1beta4(kubernetes):
        # A table of flags; since v1beta4 it is a list, so that a flag can be repeated.
        return [
            {"op": "add", "path": f"{path}/{name}", "value": value} for name, value in flags.items()
        ]
    return [
        {"op": "add", "path": f"{path}/-", "value": {"name": name, "value": value}}
        for name, value in flags.items()
    ]


def _has_v1beta4(kubernetes: str) -> bool:
    return parse_minor(kubernetes) >= _FIRST_WITH_V1BETA4
