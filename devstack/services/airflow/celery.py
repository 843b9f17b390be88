"""Celery's workers, the autoscaler of their number, and several schedulers."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import (
    CELERY_EXECUTOR,
    CELERY_KUBERNETES_EXECUTOR,
    concurrency,
    executors,
    has_celery,
    is_scaled,
    worker_range,
)
from devstack.kube.client import KubeClient, Object
from devstack.kube.pods import observe_pod
from devstack.kube.resources import APPS
from devstack.services.airflow.config import option
from devstack.services.airflow.objects import SCHEDULER, key
from devstack.services.base import Manifest
from devstack.waits import Failed, Observation, Ready, Waiting

FOLDER = "airflow/celery"
"""Below k8s/."""

WORKER = ("StatefulSet", "airflow-worker")
AUTOSCALER = ("Deployment", "airflow-autoscaler")
TASKS_IN_LIMIT = 12
"""Tasks at a time in one worker for which the memory limit in k8s/ suffices."""
TASK_MEGABYTES = 180
"""Memory of each task in a worker with more of them; a lower limit would kill some."""
WORKER_PODS = "component=celery-worker,app.kubernetes.io/part-of=devstack"
"""Label selector of the workers' pods."""
STOP_SECONDS = 10
"""Seconds for a worker to end when it is stopped with its tasks."""

_BROKER_TIMEOUTS = [
    {"name": f"AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__{name}_TIMEOUT", "value": "5"}
    for name in ("READ", "WRITE")
]
"""Seconds after which the scheduler's connection to a broker that does not answer ends."""


def with_replicas(item: Manifest, settings: Mapping[str, Any]) -> Manifest:
    """Return an object with the numbers of workers and schedulers, and what scales them.

    Args:
        item: any object of Airflow.
        settings: the table ``[airflow]`` of devstack.toml.
    """
    changes = {SCHEDULER: _set_schedulers, WORKER: _set_workers, AUTOSCALER: _set_scaling}
    change = changes.get(key(item))
    if not change:
        return item
    changed = copy.deepcopy(item)
    change(changed["spec"], settings)
    if key(item) == SCHEDULER and has_celery(settings):
        changed["spec"]["template"]["spec"]["containers"][0]["env"] += _BROKER_TIMEOUTS
    return changed


def observe_workers(client: KubeClient, namespace: str, settings: Mapping[str, Any]) -> Observation:
    """Return whether the workers are ready; those that end may still finish their tasks.

    Args:
        client: reads the StatefulSet and its pods.
        namespace: Airflow's.
        settings: the table ``[airflow]``.
    """
    if is_scaled(settings):
        # Their number follows the queue, and may be 0.
        return Ready()
    live = client.find(APPS, WORKER[0], WORKER[1], namespace)
    if live is None:
        return Waiting(f"StatefulSet {namespace}/{WORKER[1]} does not exist yet")
    if _is_complete(live):
        return Ready()
    pods = client.list_objects("v1", "Pod", namespace, labels=WORKER_PODS)
    ending = [pod for pod in pods if pod["metadata"].get("deletionTimestamp")]
    started = [pod for pod in pods if pod not in ending]
    observations = [observe_pod(client, pod) for pod in started]
    for found in observations:
        if isinstance(found, Failed):
            return found
    if ending and all(isinstance(each, Ready) for each in observations):
        # The controller replaces one after the other, each as soon as its tasks have finished.
        return Ready()
    waiting = (each for each in observations if isinstance(each, Waiting))
    return next(waiting, Waiting(f"StatefulSet {namespace}/{WORKER[1]} is not available yet"))


def ending_workers(client: KubeClient, namespace: str) -> list[str]:
    """Return the names of the workers that end once their tasks have ended, sorted.

    Args:
        client: reads their pods.
        namespace: Airflow's.
    """
    pods = client.list_objects("v1", "Pod", namespace, labels=WORKER_PODS)
    ending = (pod for pod in pods if pod["metadata"].get("deletionTimestamp"))
    return sorted(pod["metadata"]["name"] for pod in ending)


def default_queue(settings: Mapping[str, Any]) -> str:
    """Return the queue of tasks that name none; the only one that the stack's workers serve."""
    return option(settings, "operators", "default_queue", "default")


def kubernetes_queue(settings: Mapping[str, Any]) -> str:
    """Return the queue whose tasks CeleryKubernetesExecutor runs in pods."""
    return option(settings, "celery_kubernetes_executor", "kubernetes_queue", "kubernetes")


def scaling(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the autoscaler needs to know; it counts the tasks of Celery's executors."""
    least, most = worker_range(settings)
    names = executors(settings)
    celery = CELERY_EXECUTOR if CELERY_EXECUTOR in names else CELERY_KUBERNETES_EXECUTOR
    return {
        "min": least,
        "max": most,
        "concurrency": concurrency(settings),
        "executor": celery,
        "is_default": names[0] == celery,
        # More workers would not help tasks of a queue that none of them serves.
        "queue": default_queue(settings),
    }


def _set_schedulers(spec: Manifest, settings: Mapping[str, Any]) -> None:
    count = settings.get("schedulers", 1)
    if count > 1:
        spec["replicas"] = count
        # Rows that one works on are locked for the others, so that any of them may be replaced.
        parameters = {"maxSurge": 0, "maxUnavailable": 1}
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": parameters}


def _set_workers(spec: Manifest, settings: Mapping[str, Any]) -> None:
    if is_scaled(settings):
        del spec["replicas"]
    else:
        spec["replicas"] = worker_range(settings)[1]
    container = spec["template"]["spec"]["containers"][0]
    for variable in container["env"]:
        if variable["name"] == "AIRFLOW__CELERY__WORKER_CONCURRENCY":
            variable["value"] = str(concurrency(settings))
    if concurrency(settings) > TASKS_IN_LIMIT:
        container["resources"]["limits"]["memory"] = f"{concurrency(settings) * TASK_MEGABYTES}M"


def _set_scaling(spec: Manifest, settings: Mapping[str, Any]) -> None:
    for variable in spec["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "DEVSTACK_SCALING":
            variable["value"] = json.dumps(scaling(settings), sort_keys=True)


def _is_complete(live: Object) -> bool:
    status = live.get("status", {})
    wanted = live["spec"].get("replicas", 1)
    observed: int = status.get("observedGeneration", 0)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "replicas")]
    return observed >= live["metadata"]["generation"] and counts == [wanted] * 3
