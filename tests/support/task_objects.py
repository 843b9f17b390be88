"""The Jobs, JobSets and pods that Metaflow creates for a run, as API objects."""

from __future__ import annotations

from typing import Any

from devstack.kube.client import Object

RUN = "1795261754359845"
NAMESPACE = "metaflow"
LABELS = {"app.kubernetes.io/part-of": "metaflow", "app.kubernetes.io/name": "metaflow-task"}


def task_pod(
    name: str,
    step: str = "work",
    *,
    run_id: str = RUN,
    attempt: int = 0,
    jobset: str = "",
    cpu: str = "200m",
    node: str = "",
    phase: str = "Running",
    created: str = "2026-11-21T12:00:00Z",
    started: str = "",
    ended: str = "",
    reason: str = "Completed",
    **status: Any,
) -> Object:
    """Return the pod of a task; times as the API writes them."""
    labels = {**LABELS, **({"jobset.sigs.k8s.io/jobset-name": jobset} if jobset else {})}
    container = {"name": step, "image": "task:1", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": created,
            "labels": labels,
            "annotations": {
                "metaflow/run_id": run_id,
                "metaflow/step_name": step,
                "metaflow/attempt": str(attempt),
            },
        },
        "spec": {
            "containers": [container],
            "activeDeadlineSeconds": 120,
            **({"nodeName": node} if node else {}),
        },
        "status": {"phase": phase, **_containers(step, started, ended, reason), **status},
    }


def unschedulable_pod(name: str, message: str, cpu: str = "200m") -> Object:
    """Return a pod for which the scheduler finds no node."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }
    return task_pod(name, phase="Pending", cpu=cpu, conditions=[condition])


def job(name: str, *, run_id: str = RUN, ended: str = "") -> Object:
    """Return the Job of a task; ``ended`` is the type of its last condition."""
    return _owner("batch/v1", "Job", name, run_id, ended)


def jobset(name: str, *, run_id: str = RUN, ended: str = "") -> Object:
    """Return the JobSet of a parallel step."""
    return _owner("jobset.x-k8s.io/v1alpha2", "JobSet", name, run_id, ended)


def _owner(api_version: str, kind: str, name: str, run_id: str, ended: str) -> Object:
    metadata = {"labels": LABELS, "annotations": {"metaflow/run_id": run_id}}
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": {"template": {"metadata": metadata}},
        "status": {"conditions": conditions},
    }


def _containers(step: str, started: str, ended: str, reason: str) -> Object:
    if ended:
        code = 0 if reason == "Completed" else 1
        times = {"startedAt": started, "finishedAt": ended}
        state: Object = {"terminated": {**times, "reason": reason, "exitCode": code}}
    elif started:
        state = {"running": {"startedAt": started}}
    else:
        return {}
    return {"containerStatuses": [{"name": step, "image": "task:1", "state": state}]}


def local_volume(node: str) -> Object:
    """Return a volume on one node, bound to the claim ``data``."""
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pvc-1"},
        "spec": {
            "claimRef": {"namespace": "metaflow", "name": "data"},
            "hostPath": {"path": "/var/volumes/pvc-1"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
        "status": {"phase": "Bound"},
    }
