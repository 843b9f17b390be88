"""Gangs: JobSets whose pods all start together, or none does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of
from devstack.kube.resources import COSCHEDULING, JOBSET, POD_GROUPS

MARK = "devstack.dev/gang=true"
"""The label of JobSets that are gangs, and of their pods."""

JOBSET_NAME = "jobset.sigs.k8s.io/jobset-name"
JOB_NAME = "batch.kubernetes.io/job-name"
"""The label by which a pod names its Job."""

PLUGIN_LABEL = "scheduling.x-k8s.io/pod-group"
"""The label by which a pod names its PodGroup to the coscheduling plug-in."""

CONDITION = "GangScheduled"
"""The condition that the gang controller writes to JobSets."""

INSUFFICIENT_RESOURCES = "InsufficientResources"
"""The condition's reason if the gang does not fit next to what is running."""

TOO_LARGE = "TooLarge"
"""The condition's reason if the gang would not fit even without other jobs."""

NO_SCHEDULING_DECISION = "NoSchedulingDecision"
"""The condition's reason if all pods exist, and the scheduler has not reported."""


@dataclass(frozen=True)
class Gang:
    """A JobSet whose pods all start together, or none does.

    Attributes:
        namespace: its namespace.
        jobset: the JobSet's name.
        size: the number of its pods.
        bound: the number of its pods that have a node.
        reason: the reason of its condition; empty as long as it has none.
        message: the message of its condition.
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
    """Return the gangs that are running or waiting, the oldest first.

    Args:
        client: the API.
        namespace: the namespace; all namespaces if None.
    """
    jobsets = client.list_objects(JOBSET, "JobSet", namespace, labels=MARK)
    active = [item for item in jobsets if not is_over(item)]
    if not active:
        return []
    pods = client.list_objects("v1", "Pod", namespace, labels=MARK)
    bound = Counter(_owner(pod) for pod in pods if pod["spec"].get("nodeName"))
    active.sort(key=lambda item: str(item["metadata"]["creationTimestamp"]))
    return [_gang(item, bound[_name(item)]) for item in active]


def size_of(jobset: Object) -> int:
    """Return the number of pods that a JobSet runs at the same time."""
    total = 0
    for job in jobset["spec"]["replicatedJobs"]:
        spec = job["template"]["spec"]
        parallelism = spec.get("parallelism", 1)
        total += job.get("replicas", 1) * min(parallelism, spec.get("completions", parallelism))
    return total


def pod_group_name(pod: Object) -> str:
    """Return the name of a pod's PodGroup, native or of the plug-in; empty if it has none."""
    native = (pod["spec"].get("schedulingGroup") or {}).get("podGroupName")
    return str(native or (pod["metadata"].get("labels") or {}).get(PLUGIN_LABEL, ""))


def find_pod_group(client: KubeClient, pod: Object) -> Object | None:
    """Return the PodGroup that a pod names, or None if it does not exist."""
    api_versions = POD_GROUPS if pod["spec"].get("schedulingGroup") else (COSCHEDULING,)
    name, namespace = pod_group_name(pod), pod["metadata"]["namespace"]
    found = (client.find(each, "PodGroup", name, namespace) for each in api_versions)
    return next((group for group in found if group), None)


def is_over(jobset: Object) -> bool:
    """Return True for a JobSet that has ended or is being deleted."""
    ended = [condition_of(jobset, kind).get("status") for kind in ("Completed", "Failed")]
    return "True" in ended or bool(jobset["metadata"].get("deletionTimestamp"))


def _gang(jobset: Object, bound: int) -> Gang:
    condition = condition_of(jobset, CONDITION)
    return Gang(
        namespace=jobset["metadata"]["namespace"],
        jobset=jobset["metadata"]["name"],
        size=size_of(jobset),
        bound=bound,
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
    )


def _name(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _owner(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"].get("labels", {}).get(JOBSET_NAME, "")
