"""DAG runs and their tasks, as Airflow's API shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devstack.airflow.client import AirflowClient, quoted

ENDED = frozenset({"success", "failed"})
"""The states of a DAG run that is over."""

_HASH_LENGTH = 12
_CHATTER = "[save_logs]"
"""How Metaflow begins what it says of itself."""


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG.

    Attributes:
        dag_id: the DAG.
        run_id: Airflow's id, such as ``manual__2026-11-21T15:12:59+00:00``.
        state: queued, running, success or failed.
        kind: what started it: manual, scheduled or backfill.
        began: when it left the queue, seconds since the epoch; None before that.
        ended: when it ended; None before that.
        conf: the parameters it was triggered with.
    """

    dag_id: str
    run_id: str
    state: str
    kind: str
    began: float | None
    ended: float | None
    conf: Mapping[str, Any]

    @property
    def metaflow_id(self) -> str:
        """The run's id in Metaflow, made as the DAGs that Metaflow writes make it."""
        made = hashlib.md5(f"{self.run_id}-{self.dag_id}".encode(), usedforsecurity=False)
        return f"airflow-{made.hexdigest()[:_HASH_LENGTH]}"

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it has not ended."""
        if self.began is None or self.ended is None:
            return None
        return self.ended - self.began

    @property
    def path(self) -> str:
        """Where it is, below the API's root."""
        return f"/dags/{quoted(self.dag_id)}/dagRuns/{quoted(self.run_id)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the run as it stands in the JSON envelope."""
        return {
            "dag_id": self.dag_id,
            "dag_run_id": self.run_id,
            "metaflow_run_id": self.metaflow_id,
            "state": self.state,
            "kind": self.kind,
            "began": self.began,
            "seconds": round(self.seconds or 0.0, 2),
            "conf": dict(self.conf),
        }


@dataclass(frozen=True)
class Task:
    """One task of a DAG run: a step, or one item of a foreach.

    Attributes:
        step: the step; the name of a sensor where it is one.
        index: which item of a foreach it is; -1 where there is none.
        state: Airflow's word, "" before it was looked at.
        attempts: how often it was started.
        queued: when it was queued, seconds since the epoch; None before that.
        began: when Airflow started it; None before that.
        ended: when it ended; None before that.
    """

    step: str
    index: int
    state: str
    attempts: int
    queued: float | None
    began: float | None
    ended: float | None

    @property
    def name(self) -> str:
        """How people name it: ``work[2]``."""
        return self.step if self.index < 0 else f"{self.step}[{self.index}]"

    def as_dict(self) -> dict[str, Any]:
        """Return the task as a check reads it, and as it stands in the JSON envelope."""
        return {
            "step": self.step,
            "index": self.index,
            "state": self.state,
            "attempts": self.attempts,
            "queued": self.queued,
            "began": self.began,
            "ended": self.ended,
        }


def list_runs(client: AirflowClient, dag_id: str = "", limit: int = 25) -> list[DagRun]:
    """Return the newest runs, the newest first.

    Args:
        client: Airflow.
        dag_id: of this DAG alone; of all DAGs where empty.
        limit: at most so many.
    """
    where = quoted(dag_id) if dag_id else "~"
    answer = client.get(f"/dags/{where}/dagRuns", order_by="-execution_date", limit=limit)
    return [_run(each) for each in answer["dag_runs"]]


def get_run(client: AirflowClient, dag_id: str, run_id: str) -> DagRun:
    """Return one run as it is now."""
    return _run(client.get(f"/dags/{quoted(dag_id)}/dagRuns/{quoted(run_id)}"))


def start_run(client: AirflowClient, dag_id: str, conf: Mapping[str, Any]) -> DagRun:
    """Start a run with these parameters."""
    return _run(client.post(f"/dags/{quoted(dag_id)}/dagRuns", {"conf": dict(conf)}))


def list_tasks(client: AirflowClient, run: DagRun) -> list[Task]:
    """Return the tasks of a run, in the order in which they began."""
    found = [_task(each) for each in _task_instances(client, run)]
    return sorted(found, key=lambda task: (task.began or float("inf"), task.step, task.index))


def read_log(client: AirflowClient, run: DagRun, task: Task, attempt: int = 0) -> str:
    """Return a task's log.

    Args:
        client: Airflow.
        run: the run.
        task: the task.
        attempt: which attempt, from 1; the last one where 0.
    """
    return client.text(
        f"{run.path}/taskInstances/{quoted(task.step)}/logs/{attempt or max(task.attempts, 1)}",
        map_index=task.index,
        full_content="true",
    )


def task_output_lines(log: str) -> Sequence[str]:
    """Return what the pod said, without what Airflow says around it."""
    kept = []
    for line in log.splitlines():
        _, marked, said = line.partition("[base] ")
        if marked and not said.startswith(_CHATTER):
            kept.append(said)
    return kept


def _task_instances(client: AirflowClient, run: DagRun) -> Iterator[dict[str, Any]]:
    return client.every(f"{run.path}/taskInstances", "task_instances")


def _run(item: Mapping[str, Any]) -> DagRun:
    return DagRun(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        kind=item["run_type"],
        began=_seconds(item.get("start_date")),
        ended=_seconds(item.get("end_date")),
        conf=item.get("conf") or {},
    )


def _task(item: Mapping[str, Any]) -> Task:
    return Task(
        step=item["task_id"],
        index=item.get("map_index", -1),
        state=item.get("state") or "",
        attempts=item.get("try_number") or 0,
        queued=_seconds(item.get("queued_when")),
        began=_seconds(item.get("start_date")),
        ended=_seconds(item.get("end_date")),
    )


def _seconds(stamp: str | None) -> float | None:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() if stamp else None
