"""Volume claims of a pod that are missing, or not bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from devstack.kube.api_errors import ApiError
from devstack.kube.capacity import NodeCapacity
from devstack.kube.client import KubeClient, Object
from devstack.kube.events import last_event
from devstack.kube.node_selection import matches_terms
from devstack.waits import Failed


def pending_claim(client: KubeClient, pod: Object) -> str:
    """Return why the first unbound volume claim of a pod is unbound, or an empty string.

    A pod whose volume is being created has no event and no condition that shows it.
    """
    for name in claim_names(pod):
        namespace = pod["metadata"]["namespace"]
        try:
            claim = client.find("v1", "PersistentVolumeClaim", name, namespace)
        except ApiError:
            continue
        if claim is None:
            return f"volume claim {namespace}/{name} does not exist"
        if claim.get("status", {}).get("phase") != "Bound":
            event = last_event(client, "PersistentVolumeClaim", namespace, name)
            return f"volume claim {namespace}/{name} is not bound" + (
                f" ({event})" if event else ""
            )
    return ""


def missing_claim(client: KubeClient, pod: Object) -> Failed | None:
    """Return which volume claim a pod names that does not exist, or None.

    Nothing creates a claim for a pod of a flow, so that waiting does not help.
    """
    metadata = pod["metadata"]
    namespace = metadata["namespace"]
    for name in claim_names(pod):
        try:
            claim = client.find("v1", "PersistentVolumeClaim", name, namespace)
        except ApiError:  # the account that submits flows may not read claims
            continue
        if claim is None:
            flags = namespace_flag(client, namespace)
            return Failed(
                f"pod {namespace}/{metadata['name']} can never be scheduled:"
                f" volume claim {namespace}/{name} does not exist",
                remedy=f"`devstack pvc create {name} 10Gi{flags}` creates it;"
                " choose the size you need",
                code="POD_UNSCHEDULABLE",
            )
    return None


def reachable_nodes(
    client: KubeClient, pod: Object, nodes: Sequence[NodeCapacity]
) -> tuple[list[NodeCapacity], str]:
    """Return the nodes from which a pod's volumes can be used.

    Args:
        client: reads the claims and their volumes.
        pod: a pod.
        nodes: the nodes to choose from.

    Returns:
        The nodes, and the name of the first claim whose volume none of them can use; it is empty
        if there is no such claim, or the account may not read volumes.
    """
    left = list(nodes)
    for name in claim_names(pod):
        terms = _volume_terms(client, pod["metadata"]["namespace"], name)
        if terms is None:
            continue
        if not any(matches_terms(node.node, terms) for node in nodes):
            return [], name
        left = [node for node in left if matches_terms(node.node, terms)]
    return left, ""


def _volume_terms(client: KubeClient, namespace: str, name: str) -> list[Object] | None:
    """Return which nodes may use the volume of a claim; None if all, or it is not bound."""
    try:
        claim = client.find("v1", "PersistentVolumeClaim", name, namespace) or {}
        volume = (claim.get("spec") or {}).get("volumeName")
        found = client.find("v1", "PersistentVolume", volume) if volume else None
    except ApiError:
        return None
    affinity = ((found or {}).get("spec") or {}).get("nodeAffinity") or {}
    terms: list[Object] | None = (affinity.get("required") or {}).get("nodeSelectorTerms")
    return terms


def namespace_flag(client: KubeClient, namespace: str) -> str:
    """Return the option for a namespace; empty if it is the one of the stack's tasks."""
    return "" if namespace == client.namespace else f" --namespace {namespace}"


def first_missing_claim(client: KubeClient, pods: Iterable[Object]) -> Failed | None:
    """Return the first volume claim that pods name and that does not exist.

    Each claim is looked up once, however many pods name it.
    """
    seen: set[tuple[str, str]] = set()
    for pod in pods:
        names = {(pod["metadata"]["namespace"], name) for name in claim_names(pod)}
        if names <= seen:
            continue
        seen |= names
        if failed := missing_claim(client, pod):
            return failed
    return None


def claim_names(pod: Object) -> list[str]:
    """Return the names of the volume claims that a pod mounts."""
    volumes = pod["spec"].get("volumes", [])
    claims = [volume.get("persistentVolumeClaim") for volume in volumes]
    return [claim["claimName"] for claim in claims if claim]
