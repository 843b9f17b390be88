"""Whether the JobSets of a run were scheduled as gangs, seen in the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of
from devstack.kube.gangs import JOBSET_NAME, MARK, size_of
from devstack.kube.resources import JOBSET
from devstack.kube.workflows import Node
from devstack.samples.checks.result import CheckResult, same


def check_gangs(kube: KubeClient, namespace: str, nodes: Iterable[Node]) -> list[CheckResult]:
    """Check the JobSets of the nodes of a finished workflow.

    Args:
        kube: the API.
        namespace: the namespace of workflows.
        nodes: the nodes; those without a JobSet are skipped.
    """
    jobsets = [node.jobset for node in nodes if node.jobset]
    return [each for name in jobsets for each in _check(kube, namespace, name)]


def _check(kube: KubeClient, namespace: str, name: str) -> Iterator[CheckResult]:
    jobset = kube.find(JOBSET, "JobSet", name, namespace)
    if jobset is None:
        yield CheckResult(f"JobSet {name} exists", ok=False, saw="it was deleted")
        return
    key, _, value = MARK.partition("=")
    labels = jobset["metadata"].get("labels") or {}
    yield same(f"JobSet {name} is a gang", labels.get(key), value)
    pods = kube.list_objects("v1", "Pod", namespace, labels=f"{JOBSET_NAME}={name}")
    yield same("all of its pods exist", len(pods), size_of(jobset))
    # Times of Kubernetes have whole seconds, so they may be equal.
    bound = [condition_of(pod, "PodScheduled").get("lastTransitionTime", "") for pod in pods]
    started = [_started(pod) for pod in pods]
    together = all(bound) and all(started) and max(bound) <= min(started)
    yield CheckResult(
        "each pod had a node before the first one started",
        ok=together,
        saw="" if together else f"nodes at {bound}, containers at {started}",
    )


def _started(pod: Object) -> str:
    """Return when the first container of a pod started; empty if none has."""
    states = [each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses", [])]
    times = [each.get("startedAt", "") for state in states for each in state.values()]
    return min(filter(None, times), default="")
