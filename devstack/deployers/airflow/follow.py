"""Follow a DAG run to its end, and explain a failure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from devstack.airflow.client import AirflowClient, AirflowUnavailableError
from devstack.airflow.runs import (
    DagRun,
    Task,
    get_run,
    list_runs,
    list_tasks,
    read_log,
    stop_run,
)
from devstack.airflow.task_log import failure_reason, task_output_lines
from devstack.deployers import following
from devstack.deployers.base import Note, RunResult
from devstack.deployers.following import (
    LOG_LINES,
    Seen,
    follow,
    stopped_error,
    wait_for_new_run,
)
from devstack.deployers.names import shown
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.client import Object
from devstack.lifecycle.airflow_service import installation_settings
from devstack.services.airflow.celery_health import (
    WORKER_MISSING,
    broker_problem,
    needs_worker,
    queue_problem,
    worker_problem,
)
from devstack.stack import Stack
from devstack.waits import Failed

ENGINE = "airflow"
"""As in ``devstack ENGINE logs``."""

TASK_PODS = "kubernetes_pod_operator=True"
"""Airflow's label on the pods of its tasks."""

_OUTAGES = (AirflowUnavailableError, ApiError, UnreachableError)


def follow_run(
    stack: Stack, client: AirflowClient, run: DagRun, note: Note, timeout: float | None = None
) -> RunResult[DagRun]:
    """Wait until a run is finished.

    A run with a pod that cannot start is stopped; Airflow would wait for the startup timeout.

    Args:
        stack: the stack.
        client: its Airflow.
        run: the run.
        note: shows the progress.
        timeout: maximum seconds to wait; unlimited if None.

    Raises:
        DevstackError: ``RUN_TIMEOUT``, or the code of the reason why a pod cannot start.
    """
    observe = partial(_observe, stack, client, run)
    return follow(ENGINE, stack.clock, observe, note, timeout, outages=_OUTAGES)


def _observe(stack: Stack, client: AirflowClient, run: DagRun) -> Seen[DagRun]:
    """Return the run's state.

    It is stopped if one of its pods cannot start, or one of its tasks would wait forever.
    """
    current = get_run(client, run.dag_id, run.run_id)
    tasks = list_tasks(client, current)
    progress = progress_of(current, tasks)
    if current.finished:
        return Seen(current, tasks, succeeded(current, tasks), progress)
    if failure := find_failed_pod(stack, current) or find_endless_wait(stack, tasks):
        stop_run(client, current)
        raise stopped_error(ENGINE, current, failure)
    worker = find_worker_problem(stack, tasks)
    return Seen(
        current, tasks, ok=False, progress=progress, problem=worker.reason if worker else ""
    )


def succeeded(run: DagRun, tasks: Sequence[Task]) -> bool:
    """Return True if a run did its work: a run without any task is a success for Airflow."""
    return run.state == "success" and any(task.state == "success" for task in tasks)


def wait_scheduled_run(
    stack: Stack, client: AirflowClient, dag_id: str, known: Collection[str], note: Note
) -> DagRun:
    """Wait until the scheduler starts a run by the DAG's schedule, and return the first one.

    Args:
        stack: the stack.
        client: its Airflow.
        dag_id: the DAG.
        known: ids of earlier runs.
        note: shows the progress.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    return wait_for_new_run(
        stack.clock,
        lambda: list_runs(client, dag_id),
        known,
        note,
        outages=(AirflowUnavailableError,),
        what=f"the scheduler to start {dag_id}",
        waiting="waiting for the scheduler to start a run",
    )


def progress_of(run: DagRun, tasks: Sequence[Task]) -> str:
    """Return the current activity of a run in one line."""
    if run.state == "queued":
        return "the run is queued"
    running = [task for task in tasks if task.state == "running"]
    if running:
        return f"running: {shown([task.name for task in running])}"
    waiting = [task for task in tasks if task.state in ("queued", "scheduled", "up_for_retry")]
    if waiting:
        return shown([f"{task.name} is {task.state.replace('_', ' ')}" for task in waiting])
    return "the scheduler is between tasks"


def find_failed_pod(stack: Stack, run: DagRun) -> Failed | None:
    """Return why a pod of the run cannot start, or None if all can."""
    return following.find_failed_pod(stack.kube(), task_pods(stack, run))


def find_endless_wait(stack: Stack, tasks: Sequence[Task]) -> Failed | None:
    """Return why a queued task would wait forever: no worker serves its queue, or there is none."""
    if unserved := find_unserved_task(stack, tasks):
        return unserved
    worker = find_worker_problem(stack, tasks)
    return worker if worker and worker.code == WORKER_MISSING else None


def find_unserved_task(stack: Stack, tasks: Sequence[Task]) -> Failed | None:
    """Return that no worker serves the queue of a task, or None if one serves each."""
    settings = installation_settings(stack)
    for task in tasks:
        # Airflow has put it there; it would wait forever.
        waits = task.state == "queued"
        if waits and (problem := queue_problem(task.queue, task.executor, settings)):
            return replace(problem, reason=f"{task.name} waits: {problem.reason}")
    return None


def find_worker_problem(stack: Stack, tasks: Sequence[Task]) -> Failed | None:
    """Return what keeps a queued task from a Celery worker; None if nothing does.

    All but a number of workers of zero may end without the user's help.
    """
    settings = installation_settings(stack)
    queued = (task for task in tasks if task.state == "queued")
    if not any(needs_worker(task.queue, task.executor, settings) for task in queued):
        return None
    kube = stack.kube()
    return broker_problem(kube, settings) or worker_problem(kube, stack.installation, settings)


def task_pods(stack: Stack, run: DagRun) -> Iterator[Object]:
    """Yield the pods of a run's tasks."""
    for pod in stack.kube().list_objects("v1", "Pod", stack.state.namespace, labels=TASK_PODS):
        variables = pod["spec"]["containers"][0].get("env") or []
        if {"name": "METAFLOW_RUN_ID", "value": run.metaflow_id} in variables:
            yield pod


def failure_of(client: AirflowClient, run: DagRun) -> DevstackError:
    """Return the error for a run that did not succeed, with the end of the failed task's log."""
    tasks = list_tasks(client, run)
    failed = [task for task in tasks if task.state == "failed"]
    if not failed:
        return _incomplete_error(run, tasks)
    task = failed[0]
    log = read_log(client, run, task)
    lines = task_output_lines(log) or log.splitlines()
    attempts = f" after {task.attempts} attempts" if task.attempts > 1 else ""
    reason = failure_reason(log)
    return DevstackError(
        f"run {run.run_id} of {run.dag_id} failed",
        cause=f"task {task.name} failed{attempts}" + (f": {reason}" if reason else ""),
        remedy=f"devstack airflow logs {run.metaflow_id} {task.name}",
        code="RUN_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
        output="\n".join(lines[-LOG_LINES:]),
    )


def _incomplete_error(run: DagRun, tasks: Sequence[Task]) -> DevstackError:
    states = shown([f"{task.name} {task.state or 'not started'}" for task in tasks])
    stopped = "it was stopped, or exceeded its time limit; trigger it again"
    too_early = "its date is before the DAG's start date; deploy the flow again, then trigger it"
    return DevstackError(
        f"run {run.run_id} of {run.dag_id} ended as {run.state}, but is not complete",
        cause=states or "it had no tasks",
        remedy=stopped if tasks else too_early,
        code="RUN_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
    )
