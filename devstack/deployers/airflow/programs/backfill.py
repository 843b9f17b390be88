"""Create the runs of a backfill; Airflow's scheduler then runs them."""

from __future__ import annotations

import json
from typing import Any


def main(
    dag_id: str,
    start: str,
    end: str,
    conf: dict[str, Any],
    date_parameters: dict[str, str],
    limit: int,
    dry_run: bool,
) -> None:
    """Print the dates of a DAG's schedule, and create the runs that do not exist.

    Args:
        dag_id: the DAG.
        start: the first logical date, ISO 8601.
        end: the last logical date, inclusive.
        conf: the configuration of each run.
        date_parameters: names of parameters that get the run's date: ``ds`` or ``ts``.
        limit: no run is created if there are more dates.
        dry_run: create no run.
    """
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils import timezone

    dag = SerializedDagModel.get_dag(dag_id)
    if dag is None or not dag.timetable.can_be_scheduled:
        report({"scheduled": False})
        return
    first, last = timezone.parse(start), timezone.parse(end)
    infos, not_due = [], ""
    for info in dag.iter_dagrun_infos_between(first, last):
        if info.run_after > timezone.utcnow():
            not_due = info.logical_date.isoformat()
            break
        infos.append(info)
        if len(infos) > limit:
            report({"scheduled": True, "too_many": True})
            return
    runs = [run_of(dag, info, conf, date_parameters, dry_run) for info in infos]
    report({"scheduled": True, "runs": runs, "not_due": not_due})


def run_of(
    dag: Any, info: Any, conf: dict[str, Any], date_parameters: dict[str, str], dry_run: bool
) -> dict[str, Any]:
    """Return the run of a date, which is created if it does not exist."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    date = info.logical_date
    found = {"logical_date": date.isoformat(), "run_id": "", "state": "", "created": False}
    for _attempt in range(2):
        try:
            with create_session() as session:
                [existing] = DagRun.find(
                    dag_id=dag.dag_id, execution_date=date, session=session
                ) or [None]
                if existing is not None:
                    return {**found, "run_id": existing.run_id, "state": str(existing.state)}
                if dry_run:
                    return found
                dates = {name: dated(date, kind) for name, kind in date_parameters.items()}
                run_id = create(dag, info, {**conf, **dates}, session)
            return {**found, "run_id": run_id, "state": "queued", "created": True}
        except IntegrityError:
            # The scheduler, or another backfill, has created it meanwhile.
            continue
    raise SystemExit(f"the run of {date.isoformat()} cannot be created")


def create(dag: Any, info: Any, conf: dict[str, Any], session: Any) -> str:
    """Create a run that the scheduler starts, and return its id.

    Runs of the type "backfill" get all tasks, also those whose start date is later than
    the run's date, as Airflow's own backfill needs them; every DAG of Metaflow starts at
    its compilation. But the scheduler ignores this type, so it is replaced in the same
    transaction, by the type of runs that do not count when the next one of the
    schedule is determined.
    """
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    run = dag.create_dagrun(
        run_type=DagRunType.BACKFILL_JOB,
        execution_date=info.logical_date,
        data_interval=info.data_interval,
        state=DagRunState.QUEUED,
        conf=conf,
        external_trigger=True,
        dag_hash=SerializedDagModel.get_latest_version_hash(dag.dag_id, session=session),
        session=session,
    )
    run.run_type = DagRunType.MANUAL
    return str(run.run_id)


def dated(date: Any, kind: str) -> str:
    """Return a date as Airflow's variables of that name have it."""
    return date.strftime("%Y-%m-%d") if kind == "ds" else date.isoformat()


def report(result: Any) -> None:
    """Print the result."""
    print("DEVSTACK_RESULT " + json.dumps(result), flush=True)  # noqa: T201
