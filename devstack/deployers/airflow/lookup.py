"""Find DAGs, runs and tasks by the names that users type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import list_dags, list_import_failures
from devstack.airflow.runs import DagRun, Task, list_runs
from devstack.deployers.names import suggestion, unknown_task
from devstack.errors import DevstackError, ExitStatus

MAX_RUNS = 500
"""Number of latest runs that are searched."""


def resolve_dag(client: AirflowClient, name: str, *, broken: bool = False) -> str:
    """Return the id of a DAG given by its id, or by the part after a dot if unique.

    ``HelloFlow`` resolves to ``project.branch.HelloFlow`` if no other DAG ends in it.

    Args:
        client: Airflow.
        name: what the user typed.
        broken: accept DAGs whose file Airflow could never import.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, or ``DAG_AMBIGUOUS`` with the candidates.
    """
    dag_ids = [dag.dag_id for dag in list_dags(client)]
    if broken:
        files = (PurePosixPath(each.file) for each in list_import_failures(client))
        dag_ids = list(dict.fromkeys([*dag_ids, *(file.stem for file in files)]))
    if name in dag_ids:
        return name
    matches = [dag_id for dag_id in dag_ids if dag_id.endswith(f".{name}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise _ambiguous(name, matches)
    raise unknown_dag(client, name)


def find_run(client: AirflowClient, name: str, dag_id: str = "") -> DagRun:
    """Return a run.

    Args:
        client: Airflow.
        name: Airflow's run id or Metaflow's (``airflow-0123456789ab``), optionally
            after ``DAG/`` or ``FLOW/``; or a DAG, for its latest run.
        dag_id: the DAG of the run; any if empty.

    Raises:
        DevstackError: ``RUN_UNKNOWN``.
    """
    runs = list_runs(client, dag_id, limit=MAX_RUNS)
    run_id = name.rpartition("/")[2]
    for run in runs:
        if run_id in (run.run_id, run.metaflow_id):
            return run
    for run in runs:
        if run.dag_id == name or run.dag_id.endswith(f".{name}"):
            return run
    raise DevstackError(
        f"Airflow has no run {name!r}",
        cause="it is not the name of a DAG, a DAG run or a Metaflow run",
        remedy="devstack airflow runs",
        code="RUN_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def find_tasks(tasks: Sequence[Task], name: str) -> list[Task]:
    """Return the tasks given by name: ``work[2]``, ``work`` for all of its items, or all.

    Raises:
        DevstackError: ``TASK_UNKNOWN`` with the existing tasks.
    """
    found = [task for task in tasks if name in ("", task.name, task.step)]
    if found:
        return found
    raise unknown_task(name, [task.name for task in tasks])


def unknown_dag(client: AirflowClient, name: str) -> DevstackError:
    """Return the error for a DAG that does not exist, with the closest matches."""
    dag_ids = [dag.dag_id for dag in list_dags(client)]
    return DevstackError(
        f"Airflow has no DAG {name!r}",
        cause=f"it has {', '.join(dag_ids)}" if dag_ids else "it has no DAGs",
        remedy=f"{suggestion(name, dag_ids)}`devstack airflow deploy FLOW.py` deploys a flow",
        code="DAG_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def _ambiguous(name: str, matches: Sequence[str]) -> DevstackError:
    return DevstackError(
        f"several DAGs end in {name!r}",
        cause=", ".join(matches),
        remedy="use the complete id",
        code="DAG_AMBIGUOUS",
        exit_status=ExitStatus.USAGE,
    )
