"""What is to be said of a run's gangs whose pods have no node yet."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import JOBSET_NAME, TOO_LARGE, condition_of
from devstack.kube.resources import JOBSET
from devstack.waits import Failed, Observation, Waiting


def waits_as_gang(pod: Object) -> bool:
    """Return True for a pod that the scheduler holds back until all of its gang can start."""
    spec = pod["spec"]
    return bool(spec.get("schedulingGroup")) and not spec.get("nodeName")


def observe_gangs(kube: KubeClient, namespace: str, pods: Iterable[Object]) -> list[Observation]:
    """Look at the gangs of pods that wait, each of them once.

    Args:
        kube: reads the JobSets.
        namespace: where they are.
        pods: pods for which :func:`waits_as_gang` holds.

    Returns:
        Failed for a gang that is larger than the cluster, else Waiting.
    """
    names = sorted({pod["metadata"]["labels"][JOBSET_NAME] for pod in pods})
    return [_observe(kube, namespace, name) for name in names]


def _observe(kube: KubeClient, namespace: str, name: str) -> Observation:
    said = condition_of(kube.find(JOBSET, "JobSet", name, namespace) or {})
    message = said.get("message", "")
    if said.get("reason") == TOO_LARGE:
        return Failed(
            f"gang {name} can never start: it {message}",
            remedy="use a smaller num_parallel, ask for less in @kubernetes or @resources,"
            " or give the cluster more room",
            code="GANG_TOO_LARGE",
        )
    return Waiting(f"gang {name} waits: it {message}" if message else f"gang {name} waits")
