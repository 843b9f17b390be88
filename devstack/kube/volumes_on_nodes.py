"""Volumes that are folders of one node, and end with it."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.kube.client import KubeClient, Object

HOSTNAME = "kubernetes.io/hostname"


def claims_by_node(client: KubeClient) -> dict[str, list[str]]:
    """Return the claims, as ``namespace/name``, whose data is on a single node, by its name."""
    found: dict[str, list[str]] = {}
    for volume in client.list_objects("v1", "PersistentVolume"):
        node, claim = node_of(volume), volume["spec"].get("claimRef")
        if node and claim and volume.get("status", {}).get("phase") == "Bound":
            found.setdefault(node, []).append(f"{claim['namespace']}/{claim['name']}")
    return {node: sorted(claims) for node, claims in found.items()}


def node_of(volume: Object) -> str:
    """Return the node that a volume is on; empty if it is on none or on several."""
    affinity: Mapping[str, Mapping[str, list[Object]]] = volume["spec"].get("nodeAffinity") or {}
    for term in affinity.get("required", {}).get("nodeSelectorTerms", []):
        for expression in term.get("matchExpressions", []):
            if expression["key"] == HOSTNAME and len(expression["values"]) == 1:
                return str(expression["values"][0])
    return ""
