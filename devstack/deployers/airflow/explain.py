"""Why a run of a DAG, or a task of it, does not run or has failed: `devstack why RUN`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import find_dag_details
from devstack.airflow.health import SCHEDULER, get_health
from devstack.airflow.pools import list_pools
from devstack.airflow.runs import DagRun, Task, list_runs, list_tasks
from devstack.deployers.airflow.follow import (
    failure_of,
    find_failed_pod,
    find_unserved_task,
    find_worker_problem,
    progress_of,
    succeeded,
)
from devstack.deployers.airflow.lookup import MAX_RUNS, find_run, find_tasks
from devstack.deployers.names import shown
from devstack.lifecycle.airflow_service import installation_settings
from devstack.services.airflow.celery_health import broker_problem
from devstack.stack import Stack
from devstack.waits import Failed
from devstack.why.answer import Answer

_WAITING = ("queued", "scheduled")


@dataclass(frozen=True)
class _Case:
    """A run that is explained.

    Attributes:
        stack: the stack.
        client: its Airflow.
        run: the run.
        tasks: its tasks, or the one that the user named.
    """

    stack: Stack
    client: AirflowClient
    run: DagRun
    tasks: Sequence[Task]

    def answer(self, state: str, because: str, remedy: str = "") -> Answer:
        """Return an answer about the run."""
        return Answer(f"run {self.run.run_id} of {self.run.dag_id}", state, because, remedy)

    def stuck(self, failure: Failed | None) -> Answer | None:
        """Return the answer for a problem that waiting does not solve."""
        return self.answer("stuck", failure.reason, failure.remedy) if failure else None


def explain_run(stack: Stack, client: AirflowClient, name: str) -> Answer:
    """Return why a run of a DAG does not run, or that it does.

    Args:
        stack: the stack.
        client: its Airflow.
        name: a run, a DAG for its latest run, or ``DAG/TASK``.

    Raises:
        DevstackError: ``RUN_UNKNOWN`` or ``TASK_UNKNOWN``.
    """
    run, task = _resolve(client, name)
    tasks = list_tasks(client, run)
    case = _Case(stack, client, run, find_tasks(tasks, task) if task else tasks)
    for cause in _CAUSES:
        if (answer := cause(case)) is not None:
            return answer
    return case.answer("running", progress_of(run, case.tasks))


def _resolve(client: AirflowClient, name: str) -> tuple[DagRun, str]:
    """Return the run and the task of ``DAG/TASK``, ``DAG/RUN``, ``RUN`` or ``DAG``."""
    before, slash, after = name.partition("/")
    if slash:
        runs = list_runs(client, limit=MAX_RUNS)
        if all(after not in (run.run_id, run.metaflow_id) for run in runs):
            return find_run(client, before), after
    return find_run(client, name), ""


def _ended(case: _Case) -> Answer | None:
    run = case.run
    if not run.finished:
        return None
    if succeeded(run, case.tasks):
        return case.answer("ended", f"it succeeded in {run.seconds or 0.0:.1f} s")
    error = failure_of(case.client, run)
    return case.answer("failed", error.cause, error.remedy)


def _scheduler_down(case: _Case) -> Answer | None:
    if SCHEDULER not in get_health(case.client).unhealthy:
        return None
    because = "Airflow's scheduler does not work, so no task starts"
    return case.answer("stuck", because, "devstack logs airflow; `devstack up` restarts it")


def _paused(case: _Case) -> Answer | None:
    details = find_dag_details(case.client, case.run.dag_id) or {}
    if not details.get("is_paused"):
        return None
    remedy = f"devstack airflow trigger --unpause {case.run.dag_id} starts one more run"
    return case.answer("stuck", "its DAG is paused", remedy)


def _too_many_runs(case: _Case) -> Answer | None:
    if case.run.state != "queued":
        return None
    details = find_dag_details(case.client, case.run.dag_id) or {}
    most = int(details.get("max_active_runs") or 0)
    runs = list_runs(case.client, case.run.dag_id, 1000)
    running = [run.run_id for run in runs if run.state == "running"]
    if not most or len(running) < most:
        return None
    because = f"its DAG has {len(running)} active runs, and may have {most}: {shown(running)}"
    return case.answer("waiting", because, "wait until one of them ends")


def _broker_down(case: _Case) -> Answer | None:
    if not _waiting(case):
        return None
    return case.stuck(broker_problem(case.stack.kube(), installation_settings(case.stack)))


def _queue_unserved(case: _Case) -> Answer | None:
    return case.stuck(find_unserved_task(case.stack, case.tasks))


def _workers_down(case: _Case) -> Answer | None:
    return case.stuck(find_worker_problem(case.stack, case.tasks))


def _pod_failed(case: _Case) -> Answer | None:
    return case.stuck(find_failed_pod(case.stack, case.run))


def _pool_full(case: _Case) -> Answer | None:
    pools = {pool.name: pool for pool in list_pools(case.client)}
    for task in _waiting(case):
        pool = pools.get(task.pool)
        if pool is None:
            because = f"{task.name} uses the pool {task.pool!r}, which does not exist"
            return case.answer("stuck", because, f"devstack airflow pools set {task.pool} SLOTS")
        if pool.slots >= 0 and pool.running + pool.queued >= pool.slots:
            because = f"{task.name} waits: the {pool.slots} slots of pool {pool.name} are occupied"
            return case.answer("waiting", because, "wait, or devstack airflow pools set")
    return None


def _waiting_for_slots(case: _Case) -> Answer | None:
    waiting = _waiting(case)
    if not waiting or any(task.state == "running" for task in case.tasks):
        return None
    names = shown([f"{task.name} is {task.state}" for task in waiting])
    return case.answer("waiting", f"{names}; it starts when the executor has a slot")


def _waiting(case: _Case) -> list[Task]:
    return [task for task in case.tasks if task.state in _WAITING]


_CAUSES: tuple[Callable[[_Case], Answer | None], ...] = (
    _ended,
    _scheduler_down,
    _paused,
    _too_many_runs,
    _broker_down,
    _queue_unserved,
    _workers_down,
    _pod_failed,
    _pool_full,
    _waiting_for_slots,
)
"""From the outermost to the innermost."""
