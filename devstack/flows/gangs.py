"""Why the gangs of a run have no nodes yet."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOBSET_NAME, TOO_LARGE, condition_of, pod_group_name
from devstack.kube.resources import JOBSET
from devstack.waits import Failed, Observation, Waiting


def waits_as_gang(pod: Object) -> bool:
    """Return True for a pod of a JobSet that has no node until all of its gang can start."""
    labels = pod["metadata"].get("labels") or {}
    return JOBSET_NAME in labels and bool(pod_group_name(pod)) and not pod["spec"].get("nodeName")


def observe_gangs(kube: KubeClient, namespace: str, pods: Iterable[Object]) -> list[Observation]:
    """Observe the gangs of waiting pods, each gang once.

    Args:
        kube: reads the JobSets.
        namespace: the namespace of the pods.
        pods: pods for which :func:`waits_as_gang` is true.

    Returns:
        Failed for a gang that is larger than the cluster, else Waiting.
    """
    names = sorted({pod["metadata"]["labels"][JOBSET_NAME] for pod in pods})
    return [_observe(kube, namespace, name) for name in names]


def _observe(kube: KubeClient, namespace: str, name: str) -> Observation:
    condition = condition_of(kube.find(JOBSET, "JobSet", name, namespace) or {})
    message = condition.get("message", "")
    if condition.get("reason") == TOO_LARGE:
        return Failed(
            f"gang {name} can never start: it {message}",
            remedy="use a smaller num_parallel, request less in @kubernetes or @resources,"
            " or add nodes",
            code="GANG_TOO_LARGE",
        )
    return Waiting(f"gang {name} waits: it {message}" if message else f"gang {name} waits")
