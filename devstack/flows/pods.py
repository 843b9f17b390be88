"""The pods of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from devstack.kube.client import KubeClient, Object
from devstack.kube.times import parse_time

TASK_LABELS = "app.kubernetes.io/part-of=metaflow"
"""Metaflow's own label on its Jobs, JobSets and pods."""

_JOBSET = "jobset.sigs.k8s.io/jobset-name"


@dataclass(frozen=True)
class TaskPod:
    """One pod of a run, as last observed.

    Attributes:
        name: the pod's name.
        step: the step that it runs.
        attempt: 0 for the first attempt of a task.
        jobset: the JobSet that it belongs to, or an empty string.
        phase: Pending, Running, Succeeded or Failed; see :func:`phase_of`.
        reason: why it ended, if Kubernetes reports it: Error, OOMKilled.
        message: what the kubelet adds to the reason.
        exit_status: that of its container; 0 if it has not ended.
        cpu: the cpu that it requests, as Kubernetes writes it: ``200m``.
        deadline_seconds: its ``activeDeadlineSeconds``; 0 if it has none.
        created: the time of its creation, in seconds since the epoch.
        bound: the time at which it was bound to a node, or None.
        started: the time at which its container started, or None.
        ended: the time at which its container ended, or None.
    """

    name: str
    step: str
    attempt: int
    jobset: str
    phase: str
    reason: str
    cpu: str
    deadline_seconds: int
    created: float
    bound: float | None
    started: float | None
    ended: float | None
    message: str = ""
    exit_status: int = 0

    @property
    def seconds(self) -> float:
        """How long its container ran; 0 if it has not ended."""
        if self.started is None or self.ended is None:
            return 0.0
        return self.ended - self.started


def is_of_run(item: Object, run_id: str) -> bool:
    """Return True for an object that Metaflow created for a run."""
    annotations = item["metadata"].get("annotations") or {}
    return bool(run_id) and annotations.get("metaflow/run_id") == run_id


def list_pods(kube: KubeClient, namespace: str, run_id: str) -> list[Object]:
    """Return the pods of a run, as the API has them."""
    pods = kube.list_objects("v1", "Pod", namespace, labels=TASK_LABELS)
    return [pod for pod in pods if is_of_run(pod, run_id)]


def describe_pods(pods: Iterable[Object]) -> list[TaskPod]:
    """Return the pods in the order of their creation."""
    return sorted((describe_pod(pod) for pod in pods), key=lambda pod: (pod.created, pod.name))


def describe_pod(pod: Object) -> TaskPod:
    """Return the description of a task's pod."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    annotations = metadata.get("annotations") or {}
    container = spec["containers"][0]
    state = _state(status)
    ended = state.get("terminated") or {}
    begun = ended or state.get("running") or {}
    return TaskPod(
        name=metadata["name"],
        step=annotations.get("metaflow/step_name", ""),
        attempt=int(annotations.get("metaflow/attempt", 0)),
        jobset=metadata.get("labels", {}).get(_JOBSET, ""),
        phase=phase_of(pod),
        reason=status.get("reason") or ended.get("reason", ""),
        cpu=container.get("resources", {}).get("requests", {}).get("cpu", ""),
        deadline_seconds=spec.get("activeDeadlineSeconds", 0),
        created=_seconds(metadata["creationTimestamp"]) or 0.0,
        bound=_seconds(_scheduled(status).get("lastTransitionTime")),
        started=_seconds(begun.get("startedAt")),
        ended=_seconds(ended.get("finishedAt")),
        message=status.get("message") or _start_message(ended),
        exit_status=ended.get("exitCode", 0),
    )


def phase_of(pod: Object) -> str:
    """Return the phase of a task's pod, derived from its containers if all have ended.

    The kubelet reports the end of a container before that of the pod, and Metaflow
    reads the container's. Task pods are never restarted.

    Source: Kubernetes' pod lifecycle, "Pod phase".
    """
    status = pod.get("status", {})
    phase = str(status.get("phase", "Pending"))
    states = [each.get("state", {}) for each in status.get("containerStatuses") or []]
    ends = [state["terminated"] for state in states if "terminated" in state]
    if phase != "Running" or not ends or len(ends) < len(states):
        return phase
    return "Failed" if any(end["exitCode"] for end in ends) else "Succeeded"


def _start_message(ended: dict[str, Any]) -> str:
    """Return why a container could not start; of others, Metaflow lets it be the end of the log."""
    ran = ended.get("reason") in ("Completed", "Error", "OOMKilled")
    return "" if ran else str(ended.get("message", ""))


def _scheduled(status: dict[str, Any]) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    scheduled = (c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "True")
    return next(scheduled, {})


def _state(status: dict[str, Any]) -> dict[str, Any]:
    statuses = status.get("containerStatuses") or [{}]
    state: dict[str, Any] = statuses[0].get("state", {})
    return state


def _seconds(stamp: str | None) -> float | None:
    return parse_time(stamp).timestamp() if stamp else None
