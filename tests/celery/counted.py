"""A DAG whose tasks record each of their executions, so that none can be lost or repeated."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.airflow.airflow_stack import Airflow

_DAG = """\
import time, uuid
from datetime import datetime, timedelta
from airflow import DAG
from airflow.models import Variable
from airflow.operators.python import PythonOperator

def work(number, run_id):
    Variable.set(f"{dag_id}.{{number}}.{{uuid.uuid4().hex}}", run_id)
    time.sleep({seconds})

with DAG("{dag_id}", start_date=datetime(2026, 1, 1), schedule=None, is_paused_upon_creation=False,
         max_active_tasks=1000):
    PythonOperator.partial(
        task_id="task", python_callable=work, retry_delay=timedelta(seconds=1), {options}
    ).expand(op_args=[[number] for number in range({tasks})])
"""


def deploy_counted(
    airflow: Airflow, dag_id: str, tasks: int, seconds: float = 0, **options: Any
) -> None:
    """Write the DAG, and wait until Airflow has parsed it.

    Args:
        airflow: where.
        dag_id: its name.
        tasks: the number of its tasks.
        seconds: how long each of them takes.
        options: arguments of the operator, such as ``queue``.
    """
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    text = _DAG.format(dag_id=dag_id, tasks=tasks, seconds=seconds, options=given)
    airflow.write(dag_id, text)
    airflow.await_dag(dag_id)


def executions(airflow: Airflow, run: str) -> Counter[int]:
    """Return how often each task of a run was executed."""
    dag_id, run_id = run.split("/")[1], run.rpartition("/")[2]
    found: Counter[int] = Counter()
    for variable in _all(airflow, "variables", "variables"):
        dag, number, _ = f"{variable['key']}..".split(".")[:3]
        if (dag, variable["value"]) == (dag_id, run_id):
            found[int(number)] += 1
    return found


def instances(airflow: Airflow, run: str) -> list[dict[str, Any]]:
    """Return the instances of a run's task."""
    return _all(airflow, f"{run}/taskInstances", "task_instances")


def _all(airflow: Airflow, path: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = airflow.get(f"{path}?limit=100&offset={len(found)}")[name]
        if not page:
            return found
        found += page


def running_on(airflow: Airflow, run: str) -> Counter[str]:
    """Return how many tasks of a run each worker executes at the moment."""
    tasks = instances(airflow, run)
    return Counter(
        task["hostname"].partition(".")[0] for task in tasks if task["state"] == "running"
    )
