"""Checks of what Celery's executors need: broker, workers, queues, Flower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from devstack.airflow.client import AirflowUnavailableError
from devstack.airflow_settings import has_celery
from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.errors import DevstackError
from devstack.kube.readiness import observe_deployment
from devstack.parallel import in_parallel
from devstack.services.airflow import service as airflow
from devstack.services.airflow.celery_health import (
    broker_problem,
    lost_workers,
    queue_problem,
    ready_workers,
    worker_problem,
)
from devstack.services.airflow.dag_delivery import dags_folder
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from devstack.stack import Stack
from devstack.waits import Failed, Ready

_QUEUED = "/dags/~/dagRuns/~/taskInstances"
_MOST_TASKS = 100
_EXECUTE_TIMEOUT = 10.0
"""Seconds for each pod; the whole check times out after 20 seconds."""


_DAG_FILES = (
    'cd "$1" && find -L . -type f -name "*.py" -exec sha256sum {} + | LC_ALL=C sort | sha256sum'
)


@dataclass(frozen=True)
class _Case:
    """An installation of Airflow with Celery workers.

    Attributes:
        stack: its stack.
        installation: the installation.
        settings: its table in devstack.toml.
    """

    stack: Stack
    installation: Installation
    settings: Mapping[str, Any]

    @property
    def namespace(self) -> str:
        return self.installation.namespace


def _check_celery(stack: Stack) -> list[Finding]:
    found = [each.installation for each in stack.services if isinstance(each, AirflowService)]
    cases = [_Case(stack, each, each.settings(stack.state.airflow)) for each in found]
    cases = [case for case in cases if has_celery(case.settings)]
    if not cases:
        raise NotApplicableError("Airflow uses no Celery workers")
    return [finding for case in cases for finding in _check_installation(case)]


def _check_installation(case: _Case) -> list[Finding]:
    kube = case.stack.kube(REQUEST_TIMEOUT)
    if problem := broker_problem(kube, case.settings):
        return [_finding(problem)]
    if problem := worker_problem(kube, case.installation, case.settings):
        return [_finding(problem), *_flower_down(case)]
    return [*_lost(case), *_unserved(case), *_dags_differ(case), *_flower_down(case)]


def _lost(case: _Case) -> Iterator[Finding]:
    remedy = (
        f"devstack logs {case.namespace}; its tasks return to the queue; `devstack up` restores it"
    )
    for each in lost_workers(case.stack.kube(REQUEST_TIMEOUT), case.namespace):
        yield Finding(f"a Celery worker is lost: {each}", remedy, "WORKER_LOST", "warning")


def _unserved(case: _Case) -> Iterator[Finding]:
    ctx = case.stack.context(None)
    client = airflow.connect(ctx, case.installation, timeout=REQUEST_TIMEOUT)
    try:
        queued = client.get(_QUEUED, state="queued", limit=_MOST_TASKS)["task_instances"]
    except AirflowUnavailableError:
        # Reported by the check of services.
        return
    waiting = {(each["queue"], each.get("executor") or "") for each in queued if each.get("queue")}
    for queue, executor in sorted(waiting):
        if problem := queue_problem(queue, executor, case.settings):
            yield _finding(problem)


def _dags_differ(case: _Case) -> Iterator[Finding]:
    workers = ready_workers(case.stack.kube(REQUEST_TIMEOUT), case.namespace)
    targets = ["deployment/airflow-scheduler", *workers]
    expected, *found = in_parallel(lambda target: _digest(case, target), targets)
    for worker, digest in zip(workers, found, strict=True):
        if expected and digest and digest != expected:
            yield Finding(
                f"{worker} has other DAG files than the scheduler",
                "wait for the end of a roll-out, then `devstack up`; if it stays: "
                f"devstack kubectl --admin -n {case.namespace} delete pod {worker}",
                "DAGS_DIFFER",
            )


def _digest(case: _Case, target: str) -> str:
    """Return a digest of all DAG files of a pod; empty if it cannot be read in time."""
    command = ["sh", "-c", _DAG_FILES, "sh", dags_folder(case.settings)]
    try:
        done = case.stack.execute(case.namespace, target, command, timeout=_EXECUTE_TIMEOUT)
    except DevstackError:
        return ""
    return done.stdout.strip() if done.ok else ""


def _flower_down(case: _Case) -> Iterator[Finding]:
    kube, ctx = case.stack.kube(REQUEST_TIMEOUT), case.stack.context(None)
    observation = observe_deployment(kube, case.namespace, "airflow-flower")
    reason = "" if isinstance(observation, Ready) else observation.reason
    if not reason and ctx.is_mapped(case.installation.named("flower")):
        reason = _http_problem(airflow.flower_url(ctx, case.installation) + "/healthcheck")
    if reason:
        remedy = f"tasks run without it; devstack logs {case.namespace}; `devstack up` restarts it"
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
                "No Celery worker is ready or takes tasks, or what scales them is down.",
                "`devstack logs airflow`; `devstack up` restores them.",
            ),
            Fault(
                "QUEUE_WITHOUT_WORKER",
                "A task is in a queue that no worker serves, so it waits forever.",
                "Let it name the default queue, or none.",
            ),
            Fault(
                "DAGS_DIFFER",
                "A worker has other DAG files than the scheduler, so it may execute older code.",
                "Wait for the end of a roll-out; otherwise delete the worker's pod.",
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
