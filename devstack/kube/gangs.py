"""Gangs: JobSets that start whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import JOBSET

MARK = "devstack.dev/gang=true"
"""The label of JobSets that are gangs, and of their pods."""

JOBSET_NAME = "jobset.sigs.k8s.io/jobset-name"
CONDITION = "GangScheduled"
TOO_LARGE = "TooLarge"
"""The condition's reason where the whole cluster has no room for the gang."""


@dataclass(frozen=True)
class Gang:
    """A JobSet that starts whole or not at all.

    Attributes:
        namespace: its namespace.
        jobset: the JobSet's name.
        size: the number of its pods.
        bound: how many of them have a node.
        reason: in one word why it waits, as its condition has it; empty where
            that is not known yet.
        message: the same for people.
    """

    namespace: str
    jobset: str
    size: int
    bound: int
    reason: str = ""
    message: str = ""

    @property
    def waits(self) -> bool:
        """True until all its pods have a node."""
        return self.bound < self.size and self.reason != "Scheduled"


def list_gangs(client: KubeClient, namespace: str | None = None) -> list[Gang]:
    """Return the gangs that run or wait, oldest first.

    Args:
        client: the API.
        namespace: where to look; everywhere if None.
    """
    sets = client.list_objects(JOBSET, "JobSet", namespace, labels=MARK)
    active = [item for item in sets if not is_over(item)]
    if not active:
        return []
    pods = client.list_objects("v1", "Pod", namespace, labels=MARK)
    bound = Counter(_owner(pod) for pod in pods if pod["spec"].get("nodeName"))
    active.sort(key=lambda item: str(item["metadata"]["creationTimestamp"]))
    return [_gang(item, bound[_name(item)]) for item in active]


def size_of(jobset: Object) -> int:
    """Return how many pods a JobSet runs at the same time."""
    total = 0
    for job in jobset["spec"]["replicatedJobs"]:
        spec = job["template"]["spec"]
        at_once = spec.get("parallelism", 1)
        total += job.get("replicas", 1) * min(at_once, spec.get("completions", at_once))
    return total


def condition_of(jobset: Object, kind: str = CONDITION) -> Object:
    """Return a JobSet's condition; empty where it has none."""
    conditions: Sequence[Object] = (jobset.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def is_over(jobset: Object) -> bool:
    """Return True for a JobSet that has ended, or is on its way out."""
    ended = [condition_of(jobset, kind).get("status") for kind in ("Completed", "Failed")]
    return "True" in ended or bool(jobset["metadata"].get("deletionTimestamp"))


def _gang(jobset: Object, bound: int) -> Gang:
    said = condition_of(jobset)
    return Gang(
        namespace=jobset["metadata"]["namespace"],
        jobset=jobset["metadata"]["name"],
        size=size_of(jobset),
        bound=bound,
        reason=said.get("reason", ""),
        message=said.get("message", ""),
    )


def _name(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _owner(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"].get("labels", {}).get(JOBSET_NAME, "")
