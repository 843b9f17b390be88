"""Following a DAG run to its end, and saying why it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowUnavailableError
from devstack.airflow.runs import (
    ENDED,
    DagRun,
    Task,
    get_run,
    list_tasks,
    read_log,
    task_output_lines,
)
from devstack.deployers.airflow.connect import StackAirflow
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.timing import Timing, covered
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.client import Object
from devstack.kube.pods import observe_pod
from devstack.waits import Failed

LOOK_SECONDS = 1.0
AWAY_SECONDS = 120.0
"""How long Airflow or the cluster may be away while a run is followed."""

LOG_LINES = 12
"""How many lines of a task's log a report quotes."""

TASK_PODS = "kubernetes_pod_operator=True"
"""Airflow's label on the pods of its tasks."""

_AWAY = (AirflowUnavailableError, ApiError, UnreachableError)
"""Airflow does not answer, or the cluster does not."""


@dataclass(frozen=True)
class RunResult:
    """A DAG run that is over.

    Attributes:
        run: the run.
        tasks: its tasks, in the order in which they began.
    """

    run: DagRun
    tasks: Sequence[Task]

    @property
    def ok(self) -> bool:
        """True where it did its work: Airflow calls a run without any task a success."""
        did = [task for task in self.tasks if task.state == "success"]
        return self.run.state == "success" and bool(did)

    @property
    def timing(self) -> Timing:
        """Where its time went: tasks at work, tasks that waited, the scheduler between them."""
        running = covered((task.began, task.ended) for task in self.tasks)
        there = covered((task.queued or task.began, task.ended) for task in self.tasks)
        return Timing(self.run.seconds or 0.0, running, max(0.0, there - running))

    def as_dict(self) -> dict[str, Any]:
        """Return the run as it stands in the JSON envelope."""
        return {**self.run.as_dict(), "tasks": [task.as_dict() for task in self.tasks]}


def follow(
    airflow: StackAirflow,
    run: DagRun,
    note: Callable[[str], None],
    timeout: float | None = None,
) -> RunResult:
    """Wait until a run is over.

    A run whose pod can never start is ended: Airflow would wait for it an hour.

    Args:
        airflow: the stack's Airflow.
        run: the run.
        note: told what it does now.
        timeout: seconds after which to stop waiting; no limit where None.

    Raises:
        DevstackError: the code of what keeps a pod from starting, or ``RUN_TIMEOUT``.
    """
    clock = airflow.clock
    began = answered = clock.now()
    while True:
        try:
            result = _look(airflow, run)
            answered = clock.now()
        except _AWAY as away:
            if clock.now() - answered > AWAY_SECONDS:
                raise
            note(str(away))
            clock.sleep(LOOK_SECONDS)
            continue
        if result.run.state in ENDED:
            return result
        note(doing(result.run, result.tasks))
        if timeout is not None and clock.now() - began > timeout:
            raise _too_long(result, timeout)
        clock.sleep(LOOK_SECONDS)


def _look(airflow: StackAirflow, run: DagRun) -> RunResult:
    """Look at a run once; end it where one of its pods can never start."""
    now = get_run(airflow.client, run.dag_id, run.run_id)
    if now.state not in ENDED:
        trouble = find_trouble(airflow, now)
        if trouble:
            end_run(airflow, now)
            raise _stopped(now, trouble)
    return RunResult(now, list_tasks(airflow.client, now))


def doing(run: DagRun, tasks: Sequence[Task]) -> str:
    """Return what a run does now, in one line."""
    if run.state == "queued":
        return "the run is queued"
    at_work = [task for task in tasks if task.state == "running"]
    if at_work:
        return f"running: {', '.join(task.name for task in at_work)}"
    waiting = [task for task in tasks if task.state in ("queued", "scheduled", "up_for_retry")]
    if waiting:
        return ", ".join(f"{task.name} is {task.state.replace('_', ' ')}" for task in waiting)
    return "the scheduler is between tasks"


def end_run(airflow: StackAirflow, run: DagRun) -> None:
    """Mark a run as failed; Airflow then ends its tasks and their pods."""
    airflow.client.patch(run.path, {"state": "failed"})


def find_trouble(airflow: StackAirflow, run: DagRun) -> Failed | None:
    """Return what keeps a pod of the run from ever starting, if anything does."""
    for pod in pods_of(airflow, run):
        if pod.get("status", {}).get("phase") != "Pending":
            continue
        seen = observe_pod(airflow.kube, pod)
        if isinstance(seen, Failed):
            return seen
    return None


def pods_of(airflow: StackAirflow, run: DagRun) -> Iterator[Object]:
    """Yield the task pods that there are of a run."""
    for pod in airflow.kube.list_objects("v1", "Pod", airflow.namespace, labels=TASK_PODS):
        variables = pod["spec"]["containers"][0].get("env") or []
        if {"name": "METAFLOW_RUN_ID", "value": run.metaflow_id} in variables:
            yield pod


def failure_of(airflow: StackAirflow, result: RunResult) -> DevstackError:
    """Return the error for a run that did not succeed, with the failed task's last words."""
    run = result.run
    failed = [task for task in result.tasks if task.state == "failed"]
    if not failed:
        return _nothing_done(result)
    task = failed[0]
    log = read_log(airflow.client, run, task)
    words = task_output_lines(log) or log.splitlines()
    attempts = f" after {task.attempts} attempts" if task.attempts > 1 else ""
    return DevstackError(
        f"run {run.run_id} of {run.dag_id} failed",
        cause=f"task {task.name} failed{attempts}",
        remedy=f"devstack airflow logs {run.metaflow_id} {task.name}",
        code="RUN_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
        output="\n".join(words[-LOG_LINES:]),
    )


def _nothing_done(result: RunResult) -> DevstackError:
    run = result.run
    states = ", ".join(f"{task.name} {task.state or 'not begun'}" for task in result.tasks)
    ended = "it was ended from outside, or took too long; trigger it again"
    early = "its date lies before the DAG's start; deploy the flow again, then trigger it"
    return DevstackError(
        f"run {run.run_id} of {run.dag_id} ended as {run.state} without its work done",
        cause=states or "it had no task at all",
        remedy=ended if result.tasks else early,
        code="RUN_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
    )


def _stopped(run: DagRun, trouble: Failed) -> DevstackError:
    return DevstackError(
        f"run {run.run_id} of {run.dag_id} was ended",
        cause=trouble.reason,
        remedy=trouble.remedy or f"devstack airflow logs {run.metaflow_id}",
        code=trouble.code,
        exit_status=ExitStatus.FLOW_FAILED,
        output=trouble.output,
    )


def _too_long(result: RunResult, timeout: float) -> DevstackError:
    run = result.run
    return DevstackError(
        f"run {run.run_id} of {run.dag_id} did not end within {timeout:.0f} s",
        cause=doing(run, result.tasks),
        remedy=f"it goes on; devstack airflow logs {run.metaflow_id} shows what it says",
        code="RUN_TIMEOUT",
        exit_status=ExitStatus.TIMEOUT,
    )
