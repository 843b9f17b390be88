"""What Airflow knows of a flow that was deployed to it: the DAG, and the file it was read from.

Metaflow writes the flow's name, its owner, the production token and the Parameters into the
DAG's file, as the dictionary ``CONFIG``; Airflow returns the text of the file.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import (
    dag_url,
    find_dag_details,
    find_dag_source,
    list_dags,
    read_dag,
)
from devstack.deployers.airflow.literals import literal_text
from devstack.deployers.airflow.lookup import unknown_dag
from devstack.deployers.airflow.parameters import kind_of_schema
from devstack.errors import DevstackError, ExitStatus

_CONFIG = "CONFIG"


@dataclass(frozen=True)
class DeployedParameter:
    """A Parameter of a deployed flow.

    Attributes:
        name: its name.
        kind: string, integer, number, boolean, json or file.
        default: the value of a run that is triggered without one.
        description: its help; empty if it has none.
    """

    name: str
    kind: str
    default: Any
    description: str


@dataclass(frozen=True)
class DeployedFlow:
    """A flow that was deployed as a DAG.

    Attributes:
        dag_id: the DAG.
        flow: the flow's class.
        owner: the user who deployed it.
        production_token: its production token; empty if Metaflow wrote none.
        project: its @project; empty if it has none.
        branch: the branch of the @project, such as ``user.NAME`` or ``prod``; empty without one.
        schedule: a cron expression or a preset; empty if it has no schedule.
        paused: True if the DAG is paused.
        parameters: its Parameters.
        url: the DAG's page in Airflow's UI.
    """

    dag_id: str
    flow: str
    owner: str
    production_token: str
    project: str
    branch: str
    schedule: str
    paused: bool
    parameters: tuple[DeployedParameter, ...]
    url: str


def get_deployed_flow(client: AirflowClient, dag_id: str) -> DeployedFlow:
    """Return the flow that a DAG was compiled from.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, or ``DAG_NOT_A_FLOW``: Metaflow did not compile it.
    """
    details = find_dag_details(client, dag_id)
    if details is None:
        raise unknown_dag(client, dag_id)
    found = _read(client, details)
    if found is None:
        raise DevstackError(
            f"the DAG {dag_id} is not a flow",
            cause="its file was not compiled by Metaflow",
            remedy="devstack airflow show",
            code="DAG_NOT_A_FLOW",
            exit_status=ExitStatus.USAGE,
        )
    return found


def list_deployed_flows(client: AirflowClient) -> list[DeployedFlow]:
    """Return the flows of all DAGs that Metaflow compiled, sorted by the DAG's id."""
    details = (find_dag_details(client, dag.dag_id) for dag in list_dags(client))
    flows = (_read(client, each) for each in details if each is not None)
    return [flow for flow in flows if flow is not None]


def compiled_config(source: str) -> Mapping[str, Any] | None:
    """Return the dictionary that Metaflow wrote into a DAG's file; None for another DAG's file."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        return None
    for each in statements:
        if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == _CONFIG:
            try:
                config = ast.literal_eval(each.value)
            except ValueError:
                return None
            is_compiled = isinstance(config, dict) and "flow_name" in config.get("metadata", {})
            return config if is_compiled else None
    return None


def _read(client: AirflowClient, details: Mapping[str, Any]) -> DeployedFlow | None:
    """Return the flow of a DAG, or None if Metaflow did not compile it."""
    config = compiled_config(find_dag_source(client, str(details.get("file_token") or "")))
    if config is None:
        return None
    dag, notes = read_dag(details), _annotations(config)
    return DeployedFlow(
        dag_id=dag.dag_id,
        flow=config["metadata"]["flow_name"],
        owner=str(config["dag_instantiation_params"]["default_args"].get("owner") or ""),
        production_token=notes.get("production_token", ""),
        project=notes.get("project_name", ""),
        branch=notes.get("branch_name", ""),
        schedule=dag.schedule,
        paused=dag.paused,
        parameters=tuple(_parameter(each) for each in config.get("metaflow_params") or ()),
        url=dag_url(client, dag.dag_id),
    )


def _annotations(config: Mapping[str, Any]) -> dict[str, str]:
    """Return Metaflow's annotations of the pods, which all tasks have; without their prefix."""
    for state in config["states"].values():
        if annotations := state["operator_args"].get("annotations"):
            return {
                name.removeprefix("metaflow/"): literal_text(text)
                for name, text in annotations.items()
            }
    return {}


def _parameter(item: Mapping[str, Any]) -> DeployedParameter:
    return DeployedParameter(
        name=item["name"],
        kind=kind_of_schema(item),
        default=item.get("default"),
        description=str(item.get("description") or ""),
    )
