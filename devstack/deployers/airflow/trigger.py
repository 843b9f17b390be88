"""Trigger a DAG run, with parameters converted to the flow's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import find_dag_details
from devstack.airflow.runs import DagRun, start_run
from devstack.deployers.airflow.lookup import unknown_dag
from devstack.errors import DevstackError, ExitStatus

_SHELL_CHARACTERS = set("$`\\")
"""Special characters in double quotes: Metaflow puts values into a shell script unescaped."""

_CONVERTERS: Mapping[str, Callable[[str], Any]] = {"integer": int, "number": float, "string": str}
"""By JSON schema type."""


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
    kind = str((declared[name].get("schema") or {}).get("type") or "string")
    if special := _SHELL_CHARACTERS & set(text):
        raise _invalid(name, f"the task's shell would interpret {' '.join(sorted(special))}")
    try:
        return _CONVERTERS.get(kind, str)(text)
    except ValueError:
        raise _invalid(name, f"{text!r} is not of type {kind}") from None


def _invalid(name: str, cause: str) -> DevstackError:
    return DevstackError(
        f"invalid value for the parameter {name!r}",
        cause=cause,
        remedy="devstack airflow trigger --param NAME=VALUE DAG",
        code="PARAMETER_WRONG",
        exit_status=ExitStatus.USAGE,
    )
