"""Cordon nodes, and drain them by the API's evictions.

As `kubectl drain --ignore-daemonsets --delete-emptydir-data --force`: pods of DaemonSets and
those that the kubelet runs by itself stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ConflictError, NotFoundError, ServerFaultError
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import is_ready
from devstack.kube.offers import is_of_daemon_set
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

_MIRROR = "kubernetes.io/config.mirror"
_TOO_MANY_REQUESTS = 429


def cordon(client: KubeClient, node: str, *, unschedulable: bool = True) -> bool:
    """Let the scheduler place no further pods on a node, or place them again.

    Args:
        client: writes the node.
        node: the node's name.
        unschedulable: False to let it place them again.

    Returns:
        True if that changed the node.

    Raises:
        NotFoundError: there is no such node.
    """
    found = client.get("v1", "Node", node)
    if bool(found["spec"].get("unschedulable")) == unschedulable:
        return False
    client.patch("v1", "Node", node, {"spec": {"unschedulable": unschedulable or None}})
    return True


def drain(
    client: KubeClient,
    node: str,
    *,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
    permanently: bool = False,
) -> list[str]:
    """Cordon a node and evict its pods; return their names once they have ended.

    Args:
        client: evicts the pods.
        node: the node's name.
        timeout: seconds for the pods to end.
        clock: measures the timeout.
        note: called with what is waited for.
        permanently: True if the node will not come back: if its kubelet, which ends pods, does not
            report any more, they are deleted.

    Raises:
        NotFoundError: there is no such node.
        DevstackError: ``WAIT_TIMEOUT``, with the pods that are left and what keeps them.
    """
    cordon(client, node)
    evicted: dict[str, None] = {}

    def observe() -> Observation:
        left = evictable_pods(client, node)
        if left and permanently and not is_ready(client.get("v1", "Node", node)):
            for pod in left:
                delete_pod(client, pod, 0)
                evicted.setdefault(full_name(pod))
            return Waiting(f"the pods of {node}, which is not Ready, are deleted")
        kept = [why for pod in left if (why := _evict(client, pod, evicted))]
        if not left:
            return Ready()
        names = ", ".join(full_name(pod) for pod in left)
        return Waiting("; ".join([f"{not_ended(left)}: {names}", *kept]))

    wait_until(
        observe,
        what=f"the pods of node {node} to end",
        timeout=timeout,
        clock=clock,
        note=note,
        remedy="wait longer with --timeout, or delete the pods; the node stays cordoned",
    )
    return list(evicted)


def evictable_pods(client: KubeClient, node: str) -> list[Object]:
    """Return the pods of a node that end when it is drained."""
    on_node = f"spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"
    pods = client.list_objects("v1", "Pod", fields=on_node)
    return [pod for pod in pods if not _stays(pod)]


def _stays(pod: Object) -> bool:
    return is_of_daemon_set(pod) or _MIRROR in (pod["metadata"].get("annotations") or {})


def _evict(client: KubeClient, pod: Object, evicted: dict[str, None]) -> str:
    """Evict a pod unless that was done; return what keeps it, or an empty string."""
    name = full_name(pod)
    if pod["metadata"].get("deletionTimestamp"):
        evicted.setdefault(name)
        return ""
    try:
        client.evict(pod["metadata"]["name"], pod["metadata"]["namespace"])
    except ServerFaultError as refused:
        if refused.status != _TOO_MANY_REQUESTS:
            raise
        return f"{name} is not evicted: {refused.detail}"
    except (NotFoundError, ConflictError):
        return ""
    evicted.setdefault(name)
    return ""


def delete_pod(client: KubeClient, pod: Object, grace_seconds: int) -> None:
    """Delete a pod, whatever disruption budgets allow; with 0 seconds, without its kubelet."""
    metadata = pod["metadata"]
    client.delete("v1", "Pod", metadata["name"], metadata["namespace"], grace_seconds=grace_seconds)


def not_ended(pods: Sequence[Object]) -> str:
    """Return how many pods are awaited: ``2 pods have not ended``."""
    return f"{'1 pod has' if len(pods) == 1 else f'{len(pods)} pods have'} not ended"


def full_name(pod: Object) -> str:
    """Return a pod's namespace and name."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def node_unknown(name: str, known: list[str]) -> DevstackError:
    """Return the error for a node that does not exist."""
    from devstack.validation import closest_match

    closest = closest_match(name, known)
    return DevstackError(
        f"there is no node {name!r}",
        cause=f"the nodes are {', '.join(known)}",
        remedy=f"did you mean {closest!r}?" if closest else "devstack node list",
        code="NODE_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
