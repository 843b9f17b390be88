"""Whether a Deployment or DaemonSet is ready, and if not, which pod is not."""

from __future__ import annotations

from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import is_ready
from devstack.kube.pods import observe_pod
from devstack.kube.resources import APPS
from devstack.waits import Failed, Observation, Ready, Waiting

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def observe_deployment(client: KubeClient, namespace: str, name: str) -> Observation:
    """Observe a Deployment once.

    Args:
        client: reads the Deployment and, if it is not ready, its pods.
        namespace: its namespace.
        name: its name.

    Returns:
        Ready if all replicas are of the newest revision and available, else the
        observation of the first pod that is not ready.
    """
    live = client.find(APPS, "Deployment", name, namespace)
    if live is None:
        return Waiting(f"Deployment {namespace}/{name} does not exist yet")
    if _available(live):
        return Ready()
    for condition in (live.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Waiting(f"Deployment {namespace}/{name}: {condition.get('message', '')}")
    return _first_not_ready(client, live)


def unavailable_reason(client: KubeClient, namespace: str, name: str) -> str:
    """Return why a Deployment is not available, even with 0 replicas; empty if it is."""
    live = client.find(APPS, "Deployment", name, namespace)
    if live and live["spec"].get("replicas") == 0:
        return f"Deployment {namespace}/{name} is scaled to zero"
    observation = observe_deployment(client, namespace, name)
    return "" if isinstance(observation, Ready) else observation.reason


def observe_daemon_set(
    client: KubeClient, namespace: str, name: str, nodes: list[Object]
) -> Observation:
    """Observe a DaemonSet once.

    Args:
        client: reads the DaemonSet and, if it is not ready, its pods.
        namespace: its namespace.
        name: its name.
        nodes: the cluster's nodes; pods of those that are not Ready may be so too.

    Returns:
        Ready if all pods are of the newest revision and ready, else the observation of the
        first pod that is not ready.
    """
    live = client.find(APPS, "DaemonSet", name, namespace)
    if live is None:
        return Waiting(f"DaemonSet {namespace}/{name} does not exist yet")
    status = live.get("status", {})
    wanted = len(nodes)
    down = sum(not is_ready(node) for node in nodes)
    counts = (status.get("updatedNumberScheduled", 0), status.get("numberReady", 0) + down)
    current = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    if current and min(counts) >= wanted:
        return Ready()
    labels = live["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = client.list_objects("v1", "Pod", namespace, labels=selector)
    return _first_not_ready_of(client, pods, f"DaemonSet {namespace}/{name}")


def _available(live: Object) -> bool:
    status = live.get("status", {})
    wanted = live["spec"].get("replicas", 1)
    counts = [status.get(key, 0) for key in ("updatedReplicas", "availableReplicas", "replicas")]
    observed: int = status.get("observedGeneration", 0)
    return observed >= live["metadata"]["generation"] and counts == [wanted] * 3


def _first_not_ready(client: KubeClient, live: Object) -> Observation:
    metadata = live["metadata"]
    what = f"Deployment {metadata['namespace']}/{metadata['name']}"
    return _first_not_ready_of(client, _newest_pods(client, live), what)


def _first_not_ready_of(client: KubeClient, pods: list[Object], what: str) -> Observation:
    observations = [observe_pod(client, pod) for pod in pods if not _is_terminating_or_failed(pod)]
    for kind in (Failed, Waiting):
        for found in observations:
            if isinstance(found, kind):
                return found
    missing = "is not available yet" if observations else "has no pod yet"
    return Waiting(f"{what} {missing}")


def _newest_pods(client: KubeClient, live: Object) -> list[Object]:
    """Return the pods of the newest revision; older ones may be expected to fail."""
    namespace = live["metadata"]["namespace"]
    labels = live["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    sets = client.list_objects(APPS, "ReplicaSet", namespace, labels=selector)
    newest = max(sets, key=_revision, default=None)
    if newest is None or newest["spec"].get("replicas", 0) == 0:
        return []
    chosen = f"{selector},{_HASH}={newest['metadata']['labels'][_HASH]}"
    return client.list_objects("v1", "Pod", namespace, labels=chosen)


def _revision(replica_set: Object) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(_REVISION, 0))


def _is_terminating_or_failed(pod: Object) -> bool:
    """Return True for a pod that is being deleted, or that another one replaces."""
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    return terminating or pod.get("status", {}).get("phase") == "Failed"
