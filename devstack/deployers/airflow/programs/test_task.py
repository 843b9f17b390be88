"""Run one task like ``airflow tasks test``, but without a run that the scheduler starts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def main(
    dag_id: str,
    task_id: str,
    map_index: int,
    date: str,
    run_id: str,
    conf: dict[str, Any],
    pid_file: str,
) -> None:
    """Run a task, and exit with the status of the test.

    Airflow's command creates a queued run, which the scheduler starts with all its tasks
    if the DAG is not paused. Here it is finished from the beginning, and deleted at the end.

    Args:
        dag_id: the DAG.
        task_id: the task.
        map_index: the item of a mapped task; -1 for others.
        date: the logical date, ISO 8601; now if empty.
        run_id: an existing run in whose context the task is tested; a new one if empty.
        conf: parameters of the run.
        pid_file: where to write the process's id, for interruptions.
    """
    from airflow.cli.cli_parser import get_parser
    from airflow.models.dag import DagModel

    Path(pid_file).write_text(str(os.getpid()))
    model = DagModel.get_dagmodel(dag_id)
    if model is None:
        raise SystemExit(f"Airflow has no DAG {dag_id}")
    tested, temporary = run_id, ""
    if not tested:
        tested, temporary = find_or_create(dag_id, date, conf)
    argv = ["tasks", "test", dag_id, task_id, tested, "--subdir", model.fileloc]
    argv += ["--map-index", str(map_index)]
    if conf and not temporary:
        argv += ["--task-params", json.dumps(conf)]
    try:
        arguments = get_parser().parse_args(argv)
        arguments.func(arguments)
    finally:
        if temporary:
            delete(dag_id, temporary)
        Path(pid_file).unlink(missing_ok=True)


def find_or_create(dag_id: str, date: str, conf: dict[str, Any]) -> tuple[str, str]:
    """Return the id of the run of a date, and again if it has been created."""
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    logical_date = timezone.parse(date) if date else timezone.utcnow()
    run_id = f"__airflow_temporary_run_{timezone.utcnow().isoformat()}__"
    dag = SerializedDagModel.get_dag(dag_id)
    if dag is None:
        raise SystemExit(f"Airflow has not parsed the DAG {dag_id}")
    with create_session() as session:
        found = DagRun.find(dag_id=dag_id, execution_date=logical_date, session=session)
        if found:
            return str(found[0].run_id), ""
        dag.create_dagrun(
            run_type=DagRunType.MANUAL,
            run_id=run_id,
            execution_date=logical_date,
            data_interval=dag.timetable.infer_manual_data_interval(run_after=logical_date),
            state=DagRunState.SUCCESS,
            conf=conf,
            external_trigger=True,
            session=session,
        )
    return run_id, run_id


def delete(dag_id: str, run_id: str) -> None:
    """Delete a run with its tasks."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        for run in DagRun.find(dag_id=dag_id, run_id=run_id, session=session):
            session.delete(run)
