"""Whether a Deployment is ready, and if not, which pod is not."""

from __future__ import annotations

from devstack.kube.client import KubeClient, Object
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


def _available(live: Object) -> bool:
    status = live.get("status", {})
    wanted = live["spec"].get("replicas", 1)
    counts = [status.get(key, 0) for key in ("updatedReplicas", "availableReplicas", "replicas")]
    observed: int = status.get("observedGeneration", 0)
    return observed >= live["metadata"]["generation"] and counts == [wanted] * 3


def _first_not_ready(client: KubeClient, live: Object) -> Observation:
    observations = [observe_pod(client, pod) for pod in _newest_pods(client, live)]
    for kind in (Failed, Waiting):
        for found in observations:
            if isinstance(found, kind):
                return found
    metadata = live["metadata"]
    missing = "is not available yet" if observations else "has no pod yet"
    return Waiting(f"Deployment {metadata['namespace']}/{metadata['name']} {missing}")


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
    pods = client.list_objects("v1", "Pod", namespace, labels=chosen)
    return [pod for pod in pods if not _is_terminating_or_failed(pod)]


def _revision(replica_set: Object) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(_REVISION, 0))


def _is_terminating_or_failed(pod: Object) -> bool:
    """Return True for a pod that is being deleted, or that another one replaces."""
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    return terminating or pod.get("status", {}).get("phase") == "Failed"
