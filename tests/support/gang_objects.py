"""Gangs as the API has them: JobSets, their pods, PodGroups and nodes."""

from __future__ import annotations

from typing import Any

from devstack.kube.client import Object

NAMESPACE = "metaflow"
UID = "0123abcd-0000-0000-0000-000000000000"


def gang(name: str, size: int, reason: str = "", message: str = "", **status: Any) -> Object:
    """Return a JobSet of one control pod and workers, ``size`` pods in all."""
    conditions = list(status.pop("conditions", []))
    if reason:
        status_of = "True" if reason == "Scheduled" else "False"
        conditions.append(
            {"type": "GangScheduled", "status": status_of, "reason": reason, "message": message}
        )
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": UID,
            "labels": {"devstack.dev/gang": "true"},
            "creationTimestamp": "2026-11-21T12:00:00Z",
        },
        "spec": {"replicatedJobs": [_jobs("control", 1), _jobs("worker", size - 1)]},
        "status": {"conditions": conditions, **status},
    }


def _jobs(name: str, replicas: int) -> Object:
    return {"name": name, "replicas": replicas, "template": {"spec": {"backoffLimit": 0}}}


def gang_pod(jobset: str, number: int, node: str = "", cpu: str = "1") -> Object:
    """Return one pod of a gang."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{jobset}-worker-{number}",
            "namespace": NAMESPACE,
            "labels": {
                "devstack.dev/gang": "true",
                "jobset.sigs.k8s.io/jobset-name": jobset,
                "batch.kubernetes.io/job-name": f"{jobset}-worker-{number}",
            },
        },
        "spec": {
            "schedulingGroup": {"podGroupName": f"{jobset}-0123abcd-0"},
            "containers": [{"name": "task", "resources": {"requests": {"cpu": cpu}}}],
            **({"nodeName": node} if node else {}),
        },
        "status": {"phase": "Running" if node else "Pending"},
    }


def gang_pods(jobset: str, count: int, node: str = "", cpu: str = "1") -> list[Object]:
    """Return ``count`` pods of a gang."""
    return [gang_pod(jobset, number, node, cpu) for number in range(count)]


def pod_group(jobset: str) -> Object:
    """Return the PodGroup of a JobSet's first start."""
    return {
        "apiVersion": "scheduling.k8s.io/v1alpha2",
        "kind": "PodGroup",
        "metadata": {"name": f"{jobset}-0123abcd-0", "namespace": NAMESPACE},
    }


def plugin_pods(jobset: str, count: int, node: str = "") -> list[Object]:
    """Return pods that name their PodGroup to the coscheduling plug-in, by a label."""
    pods = gang_pods(jobset, count, node)
    for pod in pods:
        group = pod["spec"].pop("schedulingGroup")["podGroupName"]
        pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = group
        if not node:
            pod["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes are available: 1 Insufficient cpu.",
                }
            ]
    return pods


def plugin_pod_group(jobset: str, size: int) -> Object:
    """Return the plug-in's PodGroup of a JobSet's first start, as the plug-in reports on it."""
    return {
        "apiVersion": "scheduling.x-k8s.io/v1alpha1",
        "kind": "PodGroup",
        "metadata": {
            "name": f"{jobset}-0123abcd-0",
            "namespace": NAMESPACE,
            "labels": {"jobset.sigs.k8s.io/jobset-name": jobset},
        },
        "spec": {"minMember": size},
        "status": {"phase": "PreScheduling", "occupiedBy": f"{NAMESPACE}/{jobset}"},
    }


def node(name: str, cpu: str, **spec: Any) -> Object:
    """Return a node that offers so many cores."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {}},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "pods": "110"}},
    }
