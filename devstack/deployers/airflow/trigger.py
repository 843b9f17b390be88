"""Trigger a DAG run, with parameters converted to the flow's types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import find_dag_details
from devstack.airflow.runs import DagRun, start_run
from devstack.deployers.airflow.lookup import unknown_dag
from devstack.deployers.airflow.parameters import convert_value, kind_of_schema
from devstack.errors import DevstackError, ExitStatus


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
    return start_run(client, dag_id, convert_parameters(details.get("params") or {}, parameters))


def convert_parameters(
    declared: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]
) -> dict[str, Any]:
    """Return parameters in the types that the DAG declares.

    Args:
        declared: the DAG's parameters, each with its JSON schema.
        values: values by name, as typed by the user.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    return {name: _convert(name, text, declared) for name, text in values.items()}


def _convert(name: str, text: str, declared: Mapping[str, Mapping[str, Any]]) -> Any:
    if name not in declared:
        names = ", ".join(sorted(declared)) or "none"
        raise _invalid(name, f"the flow has no such parameter; it has {names}")
    kind = kind_of_schema(declared[name].get("schema") or {})
    if kind == "file":
        raise _invalid(
            name,
            "a pod cannot read this machine's files; the file is uploaded with the flow",
            "set it as the parameter's default, then devstack airflow deploy FLOW.py",
        )
    try:
        return convert_value(kind, text)
    except ValueError as error:
        raise _invalid(name, f"{text[:80]!r} is not of type {kind}: {error}") from None


def _invalid(
    name: str, cause: str, remedy: str = "devstack airflow trigger --param NAME=VALUE DAG"
) -> DevstackError:
    return DevstackError(
        f"invalid value for the parameter {name!r}",
        cause=cause,
        remedy=remedy,
        code="PARAMETER_WRONG",
        exit_status=ExitStatus.USAGE,
    )
