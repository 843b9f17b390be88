"""What keeps Celery's workers from taking tasks: the broker, the workers, their queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import (
    CELERY_EXECUTOR,
    CELERY_KUBERNETES_EXECUTOR,
    broker,
    executors,
    has_celery,
    is_scaled,
)
from devstack.kube.client import KubeClient, Object
from devstack.kube.pods import observe_pod
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import APPS
from devstack.services.airflow.celery import (
    STOP_SECONDS,
    WORKER,
    WORKER_PODS,
    default_queue,
    ending_workers,
    kubernetes_queue,
)
from devstack.services.airflow.installation import Installation
from devstack.waits import Failed, Ready, Waiting

WORKER_MISSING = "WORKER_MISSING"
"""The code of a number of workers of zero."""


def broker_problem(kube: KubeClient, settings: Mapping[str, Any]) -> Failed | None:
    """Return why the broker is down; None if it runs, or is not needed.

    Args:
        kube: the cluster.
        settings: the table ``[airflow]`` of devstack.toml.
    """
    name = broker(settings)
    if not name:
        return None
    observation = observe_deployment(kube, name, name)
    if isinstance(observation, Ready):
        return None
    return Failed(
        f"the broker {name} is down: {observation.reason}",
        f"devstack logs {name}; `devstack up` restarts it",
        code="BROKER_DOWN",
    )


def worker_problem(
    kube: KubeClient, installation: Installation, settings: Mapping[str, Any]
) -> Failed | None:
    """Return why there is no worker that could take a task; None if there is one.

    Args:
        kube: the cluster.
        installation: the installation of Airflow.
        settings: its settings.
    """
    namespace = installation.namespace
    if not has_celery(settings):
        return None
    if is_scaled(settings):
        return _autoscaler_problem(kube, namespace) or _failed_workers(kube, namespace)
    live = kube.find(APPS, *WORKER, namespace)
    wanted = int(live["spec"].get("replicas", 1)) if live else 0
    if not wanted:
        return Failed(
            "there is no Celery worker",
            f"devstack airflow {installation.option}scale 1",
            code=WORKER_MISSING,
        )
    started, ending = _worker_pods(kube, namespace), ending_workers(kube, namespace)
    if ending and not started:
        # Their readiness does not count: they take no more tasks.
        return _workers_end(namespace, ending)
    if live and live.get("status", {}).get("readyReplicas"):
        return None
    return _workers_down(namespace, _reason(kube, namespace))


def queue_problem(queue: str, executor: str, settings: Mapping[str, Any]) -> Failed | None:
    """Return that no worker serves a queue; None if one does, or none is needed.

    Args:
        queue: the queue of a task that is queued.
        executor: the executor that the task names; empty for the default one.
        settings: the table ``[airflow]`` of devstack.toml.
    """
    if not _has_queues(executor, settings) or queue in served_queues(settings):
        return None
    served = ", ".join(served_queues(settings))
    return Failed(
        f"no worker serves the queue {queue!r}; the stack's workers serve {served}",
        f"let the task name the queue {served_queues(settings)[0]!r}, or none",
        code="QUEUE_WITHOUT_WORKER",
    )


def needs_worker(queue: str, executor: str, settings: Mapping[str, Any]) -> bool:
    """Return True if a task that is queued waits for a Celery worker; see :func:`queue_problem`."""
    return _has_queues(executor, settings) and queue == default_queue(settings)


def _has_queues(executor: str, settings: Mapping[str, Any]) -> bool:
    """Return True if an executor's tasks run by their queue; other executors ignore it."""
    # It may be the path of a class.
    chosen = executor.rpartition(".")[2] or executors(settings)[0]
    return chosen in (CELERY_EXECUTOR, CELERY_KUBERNETES_EXECUTOR)


def served_queues(settings: Mapping[str, Any]) -> list[str]:
    """Return the queues whose tasks are run.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
    """
    has_pods = CELERY_KUBERNETES_EXECUTOR in executors(settings)
    return [default_queue(settings), *([kubernetes_queue(settings)] if has_pods else [])]


def lost_workers(kube: KubeClient, namespace: str) -> list[str]:
    """Return the workers that should run and do not, each with the reason."""
    lost = []
    for pod in _worker_pods(kube, namespace):
        observation = observe_pod(kube, pod)
        if not isinstance(observation, Ready):
            lost.append(f"{pod['metadata']['name']}: {observation.reason}")
    live = kube.find(APPS, *WORKER, namespace)
    wanted = int(live["spec"].get("replicas", 1)) if live else 0
    # One that ends is replaced when its tasks have ended.
    present = len(_worker_pods(kube, namespace)) + len(ending_workers(kube, namespace))
    missing = wanted - present
    return lost + ([f"{missing} of {wanted} have no pod"] if missing > 0 else [])


def ready_workers(kube: KubeClient, namespace: str) -> list[str]:
    """Return the names of the workers' pods that are ready."""
    pods = _worker_pods(kube, namespace)
    return [pod["metadata"]["name"] for pod in pods if isinstance(observe_pod(kube, pod), Ready)]


def _autoscaler_problem(kube: KubeClient, namespace: str) -> Failed | None:
    observation = observe_deployment(kube, namespace, "airflow-autoscaler")
    if isinstance(observation, Ready):
        return None
    return Failed(
        f"the autoscaler of the workers is down: {observation.reason}",
        f"devstack logs {namespace}; `devstack up` restarts it",
        code="WORKERS_DOWN",
    )


def _failed_workers(kube: KubeClient, namespace: str) -> Failed | None:
    """Return why the workers that the autoscaler has started fail; None while one may start."""
    found = [observe_pod(kube, pod) for pod in _worker_pods(kube, namespace)]
    failed = [each for each in found if isinstance(each, Failed)]
    return (
        _workers_down(namespace, failed[0].reason) if failed and len(failed) == len(found) else None
    )


def _workers_down(namespace: str, reason: str) -> Failed:
    return Failed(
        f"no Celery worker is ready: {reason}",
        # The service of an installation has the name of its namespace.
        f"devstack logs {namespace}; `devstack up` restarts them",
        code="WORKERS_DOWN",
    )


def _workers_end(namespace: str, names: list[str]) -> Failed:
    return Failed(
        f"no Celery worker takes tasks: {', '.join(names)} finish their own before they restart",
        f"wait, or stop these tasks: devstack kubectl --admin -n {namespace} delete pod"
        f" --grace-period={STOP_SECONDS} {' '.join(names)}",
        code="WORKERS_DOWN",
    )


def _reason(kube: KubeClient, namespace: str) -> str:
    found = (observe_pod(kube, pod) for pod in _worker_pods(kube, namespace))
    reasons = [each.reason for each in found if isinstance(each, (Failed, Waiting))]
    return reasons[0] if reasons else "they have no pods"


def _worker_pods(kube: KubeClient, namespace: str) -> list[Object]:
    pods = kube.list_objects("v1", "Pod", namespace, labels=WORKER_PODS)
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
