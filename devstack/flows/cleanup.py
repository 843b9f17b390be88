"""Delete the active Jobs of a stopped or failed run.

Metaflow does not always delete them: if one of several tasks fails, or its process is
killed, the other tasks continue.  Jobs that have ended are kept, with their logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devstack.flows.pods import TASK_LABELS, is_of_run, list_pods
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import BATCH, JOBSET
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

_FINISHED = frozenset({"Complete", "Completed", "Failed"})
DELETE_TIMEOUT = 60.0
SIMULTANEOUS_REQUESTS = 8


def delete_active_jobs(kube: KubeClient, namespace: str, run_id: str, clock: Clock) -> list[str]:
    """Delete the Jobs and JobSets of a run that have not ended, and wait until their pods end.

    Args:
        kube: reads and deletes objects.
        namespace: the namespace of the task pods.
        run_id: the run; if empty, nothing is deleted.
        clock: the clock of the timeout.

    Returns:
        What was deleted, such as ``Job t-1a2b3c4d-x7k2p``.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` if a pod does not end.
    """
    deleted: list[str] = []

    def observe() -> Observation:
        # Each time: a Job may appear late, and Metaflow deletes Jobs without waiting for pods.
        deleted.extend(delete_jobs_and_pods(kube, namespace, run_id))
        return _observe_pods_ended(kube, namespace, run_id)

    wait_until(observe, what="the flow's pods to end", timeout=DELETE_TIMEOUT, clock=clock)
    return deleted


def delete_jobs_and_pods(kube: KubeClient, namespace: str, run_id: str) -> list[str]:
    """Delete the active Jobs, JobSets and pods of a run; return the Jobs and JobSets.

    Pods are deleted as well, because the garbage collector may take a minute to delete
    those of many Jobs. Metaflow gives its pods no grace period.
    """
    # JobSets first, because they would recreate their Jobs; the rest at once.
    deleted = _delete_all(kube, _active(kube, JOBSET, "JobSet", namespace, run_id))
    jobs = _active(kube, BATCH, "Job", namespace, run_id)
    pods = [
        pod
        for pod in active_pods(kube, namespace, run_id)
        if "deletionTimestamp" not in pod["metadata"]
    ]
    found = _delete_all(kube, [*jobs, *pods])
    return [*deleted, *(each for each in found if each.startswith("Job "))]


def _delete_all(kube: KubeClient, items: Iterable[Object]) -> list[str]:
    """Delete objects side by side; return the kinds and names of those that existed."""

    def delete(item: Object) -> str:
        kind, metadata = item["kind"], item["metadata"]
        existed = kube.delete(item["apiVersion"], kind, metadata["name"], metadata["namespace"])
        return f"{kind} {metadata['name']}" if existed else ""

    with ThreadPoolExecutor(SIMULTANEOUS_REQUESTS) as pool:
        return [each for each in pool.map(delete, items) if each]


def active_pods(kube: KubeClient, namespace: str, run_id: str) -> list[Object]:
    """Return the pods of a run that have not ended."""
    pods = list_pods(kube, namespace, run_id)
    return [pod for pod in pods if pod.get("status", {}).get("phase") in ("Pending", "Running")]


def _active(
    kube: KubeClient, api_version: str, kind: str, namespace: str, run_id: str
) -> list[Object]:
    return [
        item
        for item in kube.list_objects(api_version, kind, namespace, labels=TASK_LABELS)
        if is_of_run(item, run_id) and not _has_ended(item)
    ]


def _has_ended(item: Object) -> bool:
    conditions: list[dict[str, Any]] = item.get("status", {}).get("conditions", [])
    return any(each["type"] in _FINISHED and each["status"] == "True" for each in conditions)


def _observe_pods_ended(kube: KubeClient, namespace: str, run_id: str) -> Observation:
    for pod in active_pods(kube, namespace, run_id):
        return Waiting(f"pod {pod['metadata']['name']} has not ended")
    return Ready()
