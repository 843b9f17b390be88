"""Which DAG run, and which of its tasks, a person means."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.airflow.client import AirflowClient
from devstack.airflow.runs import DagRun, Task, list_runs
from devstack.errors import DevstackError, ExitStatus

SEARCHED = 500
"""How many of the newest runs are looked through."""


def find_run(client: AirflowClient, word: str) -> DagRun:
    """Return the run that a word names.

    Args:
        client: Airflow.
        word: Airflow's id of a run, Metaflow's (``airflow-0123456789ab``), both
            also behind ``DAG/`` or ``FLOW/``, or a DAG, whose newest run is meant.

    Raises:
        DevstackError: ``RUN_UNKNOWN``.
    """
    runs = list_runs(client, limit=SEARCHED)
    named = word.rpartition("/")[2]
    for run in runs:
        if named in (run.run_id, run.metaflow_id):
            return run
    for run in runs:
        if run.dag_id == word or run.dag_id.endswith(f".{word}"):
            return run
    raise DevstackError(
        f"Airflow has no run {word!r}",
        cause="no DAG, no DAG run and no run of Metaflow's has this name",
        remedy="devstack airflow runs",
        code="RUN_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def find_tasks(tasks: Sequence[Task], word: str) -> list[Task]:
    """Return the tasks that a word names: ``work[2]``, or ``work`` for all of its items.

    Raises:
        DevstackError: ``TASK_UNKNOWN`` with the tasks that there are.
    """
    found = [task for task in tasks if word in ("", task.name, task.step)]
    if found:
        return found
    raise DevstackError(
        f"the run has no task {word!r}",
        cause=f"it has {', '.join(task.name for task in tasks) or 'none'}",
        remedy="name one of these, or none to see all",
        code="TASK_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
