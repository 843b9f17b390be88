"""Ending what a stopped or failed run left running in the cluster.

Metaflow ends its pods as well as it can: when one task of several fails, or its
process is killed, the others go on.  So devstack looks, and deletes what still
runs.  Jobs that have ended stay, with their logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from devstack.flows.pods import TASK_LABELS, is_of_run, list_pods
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import BATCH, JOBSET
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

_FINISHED = frozenset({"Complete", "Completed", "Failed"})
GONE_SECONDS = 60.0


def end_leftovers(kube: KubeClient, namespace: str, run_id: str, clock: Clock) -> list[str]:
    """Delete the Jobs and JobSets of a run that have not ended, and wait for their pods to go.

    Args:
        kube: reads and deletes.
        namespace: where the task pods are.
        run_id: the run; nothing happens where it has none.
        clock: tells the time.

    Returns:
        What was deleted: ``Job t-1a2b3c4d-x7k2p``.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` where a pod does not go.
    """
    deleted = []
    for item in _active(kube, namespace, run_id):
        kind, name = item["kind"], item["metadata"]["name"]
        if kube.delete(item["apiVersion"], kind, name, namespace):
            deleted.append(f"{kind} {name}")
    if deleted:
        wait_until(
            lambda: _observe_gone(kube, namespace, run_id),
            what="the flow's pods to end",
            timeout=GONE_SECONDS,
            clock=clock,
        )
    return deleted


def _active(kube: KubeClient, namespace: str, run_id: str) -> Iterator[Object]:
    # JobSets first: they would make their Jobs anew.
    for api_version, kind in ((JOBSET, "JobSet"), (BATCH, "Job")):
        for item in kube.list_objects(api_version, kind, namespace, labels=TASK_LABELS):
            if is_of_run(item, run_id) and not _has_ended(item):
                yield item


def _has_ended(item: Object) -> bool:
    conditions: list[dict[str, Any]] = item.get("status", {}).get("conditions", [])
    return any(each["type"] in _FINISHED and each["status"] == "True" for each in conditions)


def _observe_gone(kube: KubeClient, namespace: str, run_id: str) -> Observation:
    for pod in list_pods(kube, namespace, run_id):
        if pod.get("status", {}).get("phase") in ("Pending", "Running"):
            return Waiting(f"pod {pod['metadata']['name']} is still there")
    return Ready()
