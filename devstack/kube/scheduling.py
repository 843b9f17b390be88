"""Why the scheduler finds no node for a pod, and whether it ever will."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.kube.capacity import NodeCapacity, node_capacity
from devstack.kube.client import KubeClient, Object
from devstack.kube.offers import Offers, Shortfall, closest_shortfall, measure_offers
from devstack.kube.pod_requests import pod_requests
from devstack.kube.pool_lines import lines_for_pod
from devstack.kube.shape import Shape
from devstack.kube.volumes import namespace_flag, pending_claim, reachable_nodes
from devstack.waits import Failed, Observation, Waiting


def observe_unscheduled(
    client: KubeClient, pod: Object, message: str, offers: Offers | None = None
) -> Observation:
    """Return why a pod has no node.

    Args:
        client: reads the nodes and the pod's volume claims.
        pod: a pod whose PodScheduled condition is false.
        message: the message of that condition.
        offers: what the cluster offers, if it is known already.

    Returns:
        Failed if no node offers what the pod requests, and no pool adds such a node; Waiting if
        resources or a volume may become available.
    """
    name = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    offers = offers or measure_offers(client)
    nodes = judging_nodes(offers) if offers else []
    if offers and nodes and mentions_volume(message):
        nodes, claim = reachable_nodes(client, pod, nodes)
        if claim:
            flags = namespace_flag(client, pod["metadata"]["namespace"])
            return _volume_is_gone(pod, claim, flags, message)
    closest = closest_shortfall(pod, nodes)
    if offers and closest and not closest.nothing:
        return Failed(
            f"{name} can never be scheduled: {describe_shortfall(pod, closest)} ({message})",
            remedy=build_remedy(closest, lines_for_pod(pod, closest, offers), offers),
            code="POD_UNSCHEDULABLE",
        )
    claim = pending_claim(client, pod)
    return Waiting(f"{name} has no node yet: {message}" + (f"; {claim}" if claim else ""))


def judging_nodes(offers: Offers) -> Sequence[NodeCapacity]:
    """Return the nodes by which a pod is judged that has none.

    Only of a cluster with pools does devstack know all nodes there will be. Elsewhere another
    program may add nodes, or remove taints and other workloads: what a node has without them
    counts.
    """
    if offers.shape.has_pools:
        return offers.nodes
    return [node_capacity(_without_taints(node.node)) for node in offers.nodes]


def mentions_volume(message: str) -> bool:
    """Return True if the scheduler reports that a volume cannot be used from a node."""
    # Kubernetes' volumebinding plug-in: ErrReasonNodeConflict, by the older and the newer text.
    return "volume node affinity" in message or "PersistentVolume's node affinity" in message


def _without_taints(node: Object) -> Object:
    return {**node, "spec": {**node.get("spec", {}), "taints": []}}


def _volume_is_gone(pod: Object, claim: str, flags: str, message: str) -> Failed:
    namespace = pod["metadata"]["namespace"]
    return Failed(
        f"pod {namespace}/{pod['metadata']['name']} can never be scheduled: the volume of its claim"
        f" {claim!r} is on a node that does not exist any more ({message})",
        remedy=f"`devstack pvc delete {claim}{flags}`, then `devstack pvc create {claim} SIZE"
        f"{flags}`: its data was on that node",
        code="POD_UNSCHEDULABLE",
    )


def describe_shortfall(pod: Object, closest: Shortfall) -> str:
    """Return that no node offers what a pod requests, and what the closest one lacks."""
    pool = f" of pool {closest.pool!r}" if closest.pool else ""
    return (
        f"no node offers what it requests. The closest, {closest.node.name}{pool},"
        f" {closest.sentence(pod_requests(pod))}"
    )


def build_remedy(closest: Shortfall | None, lines: Sequence[str], offers: Offers) -> str:
    """Return what to do so that pods get a node.

    Args:
        closest: what a pod lacks on the closest node; None if only the number of nodes is short.
        lines: what to write into devstack.toml; empty if that cannot help.
        offers: what the cluster offers.
    """
    if offers.shape.has_pools and lines:
        return _to_write(_smaller_demand(closest), lines, offers.shape)
    if closest is None or closest.resources:
        return "request less in @kubernetes or @resources, or add nodes"
    return (
        "change the node selector, affinity or tolerations, or label a node: `kubectl label node`"
    )


def _smaller_demand(closest: Shortfall | None) -> str:
    if closest is None or closest.resources:
        return "request less"
    return "change its node selector" if closest.labels else "tolerate the taint"


def _to_write(instead: str, lines: Sequence[str], shape: Shape) -> str:
    """Return what to write into the settings file, without losing the pools of --pool."""
    file, up = shape.pool_file or "devstack.toml", "devstack up"
    if shape.pool_file:
        up += f" --config {shape.pool_file}"
    also = ""
    if shape.unwritten:
        # `up` takes its pools from the command line or from the file, not from both.
        also = " (with the pools of --pool, which it replaces)"
        tables = [line for table in shape.unwritten for line in table.splitlines()]
        lines = [*tables, *lines]
    indented = "\n".join(f"    {line}" for line in lines)
    return f"{instead}, or write into {file}{also} and run `{up}`:\n{indented}"
