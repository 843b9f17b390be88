"""Celery workers that end: once their tasks have ended, or at once, with their tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devstack.airflow_settings import has_celery
from devstack.kube.apply import any_present, delete_all
from devstack.kube.client import Object
from devstack.kube.resources import APPS
from devstack.services.airflow.celery import STOP_SECONDS, WORKER, WORKER_PODS, ending_workers
from devstack.services.airflow.objects import key
from devstack.services.airflow.service import AirflowService
from devstack.services.base import Service
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

TASKS_TIMEOUT = 600.0
"""Seconds that tasks of workers get, before what the workers need is removed."""
_REVISION = "controller-revision-hash"


def unneeded_workers(stack: Stack, service: Service) -> list[Object]:
    """Return the pods of workers that were started by earlier settings of a service."""
    if not isinstance(service, AirflowService) or _has_workers(stack, service):
        return []
    return _pods(stack, service)


def finish_tasks(stack: Stack, service: Service) -> None:
    """Wait until workers that are not needed any more have ended; stop them after ten minutes.

    Args:
        stack: the stack.
        service: any service; only Airflow has workers.
    """
    deadline = stack.clock.now() + TASKS_TIMEOUT

    def observe() -> Observation:
        left = unneeded_workers(stack, service)
        if not left or stack.clock.now() >= deadline:
            return Ready()
        return Waiting(f"{_names(left)} finish their tasks; what runs after ten minutes is stopped")

    wait_until(
        observe,
        what="Celery's workers to finish their tasks",
        timeout=TASKS_TIMEOUT + stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )
    if left := unneeded_workers(stack, service):
        stack.progress.warn(
            f"{_names(left)} had not finished their tasks after ten minutes: these are stopped, "
            "and retried if they have retries"
        )
        _stop(stack, left)


def stop_workers(stack: Stack, service: Service) -> None:
    """Stop all workers with their tasks; by themselves they would end with the last task.

    Args:
        stack: the stack.
        service: any service; only Airflow has workers.
    """
    if not isinstance(service, AirflowService):
        return
    objects = [*stack.manifests(service), *stack.leftovers(service)]
    namespace = [item for item in objects if item["kind"] == "Namespace"]
    if not any_present(stack.kube(), namespace):
        return
    workers = [item for item in objects if key(item) == WORKER]
    delete_all(stack.kube(), workers, timeout=stack.spec.timeout, clock=stack.clock)
    _stop(stack, _pods(stack, service))


def restart_outdated_workers(stack: Stack, service: Service, written: Sequence[str]) -> None:
    """Let all workers with former settings end, and so restart, at the same time.

    The StatefulSet's controller would restart one after the other, each once its tasks have ended:
    for hours, workers would execute tasks with former settings, DAG files and broker.

    Args:
        stack: the stack.
        service: any service; only Airflow has workers.
        written: the objects that were applied, as `devstack.kube.apply.identify` names them.
    """
    if not isinstance(service, AirflowService):
        return
    kind, name = WORKER
    namespace = service.installation.namespace
    if f"{kind} {namespace}/{name}" not in written:
        return
    revision = _updated_revision(stack, namespace)
    for pod in _pods(stack, service):
        metadata = pod["metadata"]
        if metadata.get("labels", {}).get(_REVISION) != revision:
            stack.kube().delete("v1", "Pod", metadata["name"], namespace)


def _updated_revision(stack: Stack, namespace: str) -> str:
    """Wait until the controller knows the new StatefulSet; return the label of its pods."""
    found: list[str] = []

    def observe() -> Observation:
        live = stack.kube().find(APPS, *WORKER, namespace) or {"metadata": {}}
        status = live.get("status", {})
        if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
            return Waiting("the controller has not seen the new settings of Celery's workers")
        found.append(status.get("updateRevision", ""))
        return Ready()

    wait_until(
        observe,
        what="Celery's workers to be updated",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )
    return found[-1]


def report_ending_workers(stack: Stack) -> None:
    """Say which workers still execute tasks, although they are removed or restarted."""
    for line in _ending(stack):
        stack.progress.warn(line)


def _ending(stack: Stack) -> Iterator[str]:
    for service in stack.services:
        if not isinstance(service, AirflowService) or not _has_workers(stack, service):
            continue
        namespace = service.installation.namespace
        if names := " ".join(ending_workers(stack.kube(), namespace)):
            yield (
                f"Celery workers that take no more tasks, and end, or start with the new settings, "
                f"when theirs have ended: {names}; to stop their tasks: devstack kubectl --admin "
                f"-n {namespace} delete pod --grace-period={STOP_SECONDS} {names}"
            )


def _has_workers(stack: Stack, service: AirflowService) -> bool:
    return has_celery(service.installation.settings(stack.state.airflow))


def _pods(stack: Stack, service: AirflowService) -> list[Object]:
    namespace = service.installation.namespace
    return stack.kube().list_objects("v1", "Pod", namespace, labels=WORKER_PODS)


def _names(pods: Sequence[Object]) -> str:
    return ", ".join(sorted(pod["metadata"]["name"] for pod in pods))


def _stop(stack: Stack, pods: Sequence[Object]) -> None:
    """Delete pods that nothing creates again, and wait until they have ended."""
    kube = stack.kube()
    places = [(pod["metadata"]["name"], pod["metadata"]["namespace"]) for pod in pods]
    for place in places:
        # Also shortens the time of one that is ending already.
        kube.delete("v1", "Pod", *place, grace_seconds=STOP_SECONDS)

    def observe() -> Observation:
        left = [name for name, namespace in places if kube.find("v1", "Pod", name, namespace)]
        return Waiting(f"{', '.join(left)} are being stopped") if left else Ready()

    wait_until(
        observe,
        what="Celery's workers to end",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        note=stack.progress.note,
    )
