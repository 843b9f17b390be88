"""Checks of what Celery's executors need: broker, workers, queues, Flower."""

from __future__ import annotations

from collections.abc import Iterator

import urllib3

from devstack.airflow.client import AirflowUnavailableError
from devstack.airflow_settings import has_celery
from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.kube.readiness import observe_deployment
from devstack.services.airflow import service as airflow
from devstack.services.airflow.celery_health import (
    broker_problem,
    lost_workers,
    queue_problem,
    worker_problem,
)
from devstack.services.airflow.installation import DEFAULT
from devstack.stack import Stack
from devstack.waits import Failed, Ready

_QUEUED = "/dags/~/dagRuns/~/taskInstances"
_MOST_TASKS = 100


def _check_celery(stack: Stack) -> list[Finding]:
    settings = stack.state.airflow
    if not any(each.name == "airflow" for each in stack.services) or not has_celery(settings):
        raise NotApplicableError("Airflow uses no Celery workers")
    kube = stack.kube(REQUEST_TIMEOUT)
    if problem := broker_problem(kube, settings):
        return [_finding(problem)]
    if problem := worker_problem(kube, DEFAULT.namespace, settings):
        return [_finding(problem), *_flower_down(stack)]
    return [*_lost(stack), *_unserved(stack), *_flower_down(stack)]


def _lost(stack: Stack) -> Iterator[Finding]:
    remedy = "devstack logs airflow; its tasks return to the queue; `devstack up` restores it"
    for each in lost_workers(stack.kube(REQUEST_TIMEOUT), DEFAULT.namespace):
        yield Finding(f"a Celery worker is lost: {each}", remedy, "WORKER_LOST", "warning")


def _unserved(stack: Stack) -> Iterator[Finding]:
    client = airflow.connect(stack.context(None), timeout=REQUEST_TIMEOUT)
    try:
        queued = client.get(_QUEUED, state="queued", limit=_MOST_TASKS)["task_instances"]
    except AirflowUnavailableError:
        # Reported by the check of services.
        return
    for queue in sorted({task["queue"] for task in queued if task.get("queue")}):
        if problem := queue_problem(queue, stack.state.airflow):
            yield _finding(problem)


def _flower_down(stack: Stack) -> Iterator[Finding]:
    observation = observe_deployment(
        stack.kube(REQUEST_TIMEOUT), DEFAULT.namespace, "airflow-flower"
    )
    reason = "" if isinstance(observation, Ready) else observation.reason
    if not reason and stack.context(None).is_mapped(DEFAULT.named("flower")):
        reason = _http_problem(airflow.flower_url(stack.context(None)) + "/healthcheck")
    if reason:
        remedy = "tasks run without it; devstack logs airflow; `devstack up` restarts it"
        yield Finding(f"Flower is unreachable: {reason}", remedy, "FLOWER_DOWN", "warning")


def _http_problem(url: str) -> str:
    try:
        with urllib3.PoolManager(timeout=REQUEST_TIMEOUT, retries=False) as pool:
            status = pool.request("GET", url).status
    except urllib3.exceptions.HTTPError as error:
        return str(error).rpartition(">: ")[2]
    return "" if status < 400 else f"status {status} for {url}"


def _finding(problem: Failed) -> Finding:
    return Finding(problem.reason, problem.remedy, problem.code)


CELERY_CHECKS = (
    Check(
        "celery",
        "Celery's workers can take tasks",
        _check_celery,
        (
            Fault(
                "BROKER_DOWN",
                "RabbitMQ or Redis is down, so no task reaches a worker.",
                "`devstack up` restarts it; tasks wait meanwhile.",
            ),
            Fault(
                "WORKER_MISSING",
                "The number of Celery workers is 0.",
                "`devstack airflow scale 1`.",
            ),
            Fault(
                "WORKER_LOST",
                "A Celery worker does not run; others do.",
                "`devstack logs airflow`; `devstack up` restores it.",
                "warning",
            ),
            Fault(
                "WORKERS_DOWN",
                "No Celery worker is ready, or what scales them is down.",
                "`devstack logs airflow`; `devstack up` restores them.",
            ),
            Fault(
                "QUEUE_WITHOUT_WORKER",
                "A task is in a queue that no worker serves, so it waits forever.",
                "Let it name the default queue, or none.",
            ),
            Fault(
                "FLOWER_DOWN",
                "Flower does not answer; tasks run without it.",
                "`devstack logs airflow`; `devstack up` restarts it.",
                "warning",
            ),
        ),
        needs_stack=True,
    ),
)
