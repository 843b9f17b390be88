"""Trigger a DAG run, with parameters converted to the flow's types."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import find_dag_details
from devstack.airflow.runs import DagRun, start_run
from devstack.deployers.airflow.lookup import unknown_dag
from devstack.deployers.airflow.parameter_values import run_conf
from devstack.errors import DevstackError

_USAGE = "devstack airflow trigger --param NAME=VALUE DAG"


def trigger_dag(client: AirflowClient, dag_id: str, parameters: Mapping[str, str]) -> DagRun:
    """Trigger a run of a DAG.

    Args:
        client: Airflow.
        dag_id: the DAG.
        parameters: values by name, as typed by the user.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, ``DAG_PAUSED`` or ``PARAMETER_WRONG``.
    """
    details = find_dag_details(client, dag_id)
    if details is None:
        raise unknown_dag(client, dag_id)
    if details["is_paused"]:
        raise DevstackError(
            f"the DAG {dag_id} is paused",
            cause="Airflow would not start the run",
            remedy=f"devstack airflow trigger --unpause {dag_id}",
            code="DAG_PAUSED",
        )
    return start_run(client, dag_id, run_conf(details, parameters, _USAGE))
