"""DAG runs, task instances and task logs of Airflow's API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devstack.airflow.client import AirflowClient, quoted

FINISHED = frozenset({"success", "failed"})
"""Final states of a DAG run."""

MANY_TASKS_TIMEOUT = 180.0
"""Seconds for a request that changes all tasks of a run; a foreach may have thousands."""

_HASH_LENGTH = 12


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG.

    Attributes:
        dag_id: the DAG.
        run_id: Airflow's id, such as ``manual__2026-11-21T15:12:59+00:00``.
        state: queued, running, success or failed.
        kind: manual, scheduled or backfill.
        began: start in seconds since the epoch; None while it is queued.
        ended: end in seconds since the epoch; None until then.
        conf: the parameters that it was triggered with.
    """

    dag_id: str
    run_id: str
    state: str
    kind: str
    began: float | None
    ended: float | None
    conf: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The DAG."""
        return self.dag_id

    @property
    def finished(self) -> bool:
        """True if its state is final."""
        return self.state in FINISHED

    @property
    def metaflow_id(self) -> str:
        """Metaflow's id of the run, computed as in the DAG files that Metaflow generates."""
        digest = hashlib.md5(f"{self.run_id}-{self.dag_id}".encode(), usedforsecurity=False)
        return f"airflow-{digest.hexdigest()[:_HASH_LENGTH]}"

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None until it has ended."""
        if self.began is None or self.ended is None:
            return None
        return self.ended - self.began

    @property
    def path(self) -> str:
        """Path below the API's root."""
        return f"/dags/{quoted(self.dag_id)}/dagRuns/{quoted(self.run_id)}"


@dataclass(frozen=True)
class Task:
    """A task instance: a step, or one item of a foreach.

    Attributes:
        step: the step, or the name of a sensor.
        index: the map index, which is the item of a foreach; -1 outside a foreach.
        state: Airflow's state; empty before the task was scheduled.
        attempts: number of attempts so far.
        queued: when it was queued, in seconds since the epoch; None before that.
        began: start of the last attempt, in seconds since the epoch; None before that.
        ended: end of the last attempt, in seconds since the epoch; None before that.
        pool: the pool whose slots it occupies.
        queue: the queue of an executor with workers.
        worker: the host that ran the last attempt; empty before that.
        executor: the executor that it names; empty for Airflow's default one.
    """

    step: str
    index: int
    state: str
    attempts: int
    queued: float | None
    began: float | None
    ended: float | None
    pool: str = ""
    queue: str = ""
    worker: str = ""
    executor: str = ""

    @property
    def name(self) -> str:
        """The step, with the map index in a foreach: ``work[2]``."""
        return self.step if self.index < 0 else f"{self.step}[{self.index}]"


def list_runs(client: AirflowClient, dag_id: str = "", limit: int = 25) -> list[DagRun]:
    """Return the latest runs, the latest first.

    Args:
        client: Airflow.
        dag_id: the DAG; all DAGs if empty.
        limit: maximum number of runs.
    """
    dag = quoted(dag_id) if dag_id else "~"
    answer = client.get(f"/dags/{dag}/dagRuns", order_by="-execution_date", limit=limit)
    return [_run(item) for item in answer["dag_runs"]]


def list_runs_between(client: AirflowClient, dag_id: str, first: str, last: str) -> list[DagRun]:
    """Return the runs of a DAG with logical dates from ``first`` to ``last``, in order.

    Args:
        client: Airflow.
        dag_id: the DAG.
        first: the first date, ISO 8601.
        last: the last date, inclusive.
    """
    items = client.list_all(
        f"/dags/{quoted(dag_id)}/dagRuns",
        "dag_runs",
        order_by="execution_date",
        execution_date_gte=first,
        execution_date_lte=last,
    )
    return [_run(item) for item in items]


def get_run(client: AirflowClient, dag_id: str, run_id: str) -> DagRun:
    """Return the current state of a run."""
    return _run(client.get(f"/dags/{quoted(dag_id)}/dagRuns/{quoted(run_id)}"))


def start_run(client: AirflowClient, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
    """Trigger a run with these parameters."""
    return _run(client.post(f"/dags/{quoted(dag_id)}/dagRuns", {"conf": dict(conf)}))


def stop_run(client: AirflowClient, run: DagRun) -> None:
    """Mark a run as failed; Airflow then stops its tasks and deletes their pods."""
    client.patch(run.path, {"state": "failed"}, timeout=MANY_TASKS_TIMEOUT)


def delete_run(client: AirflowClient, run: DagRun) -> bool:
    """Delete a run with its tasks; return False if it did not exist."""
    return client.delete(run.path, timeout=MANY_TASKS_TIMEOUT)


def list_tasks(client: AirflowClient, run: DagRun) -> list[Task]:
    """Return the tasks of a run, sorted by start."""
    items = client.list_all(f"{run.path}/taskInstances", "task_instances")
    tasks = [_task(item) for item in items]
    return sorted(tasks, key=lambda task: (task.began or float("inf"), task.step, task.index))


def read_log(client: AirflowClient, run: DagRun, task: Task, attempt: int = 0) -> str:
    """Return a task's log.

    Args:
        client: Airflow.
        run: the run.
        task: the task.
        attempt: number of the attempt, from 1; the last one if 0.
    """
    return client.text(
        f"{run.path}/taskInstances/{quoted(task.step)}/logs/{attempt or max(task.attempts, 1)}",
        map_index=task.index,
        full_content="true",
    )


def _run(item: Mapping[str, Any]) -> DagRun:
    return DagRun(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        kind=item["run_type"],
        began=_timestamp(item.get("start_date")),
        ended=_timestamp(item.get("end_date")),
        conf=item.get("conf") or {},
    )


def _task(item: Mapping[str, Any]) -> Task:
    return Task(
        step=item["task_id"],
        index=item.get("map_index", -1),
        state=item.get("state") or "",
        attempts=item.get("try_number") or 0,
        queued=_timestamp(item.get("queued_when")),
        began=_timestamp(item.get("start_date")),
        ended=_timestamp(item.get("end_date")),
        pool=item.get("pool") or "",
        queue=item.get("queue") or "",
        worker=item.get("hostname") or "",
        executor=item.get("executor") or "",
    )


def _timestamp(text: str | None) -> float | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None
