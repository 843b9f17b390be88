"""DAGs, DAG import errors and pools of Airflow's API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from devstack.airflow.client import AirflowApiError, AirflowClient, AirflowUnavailableError, quoted
from devstack.airflow.runs import MANY_TASKS_TIMEOUT


@dataclass(frozen=True)
class Dag:
    """A DAG that Airflow has parsed.

    Attributes:
        dag_id: its id.
        paused: True if the scheduler starts none of its runs or tasks.
        schedule: a cron expression or a preset such as ``@daily``; empty if there is none.
        next_run: when its next run is due, as Airflow formats it; empty if there is none.
        broken: True if the current version of its file cannot be imported.
    """

    dag_id: str
    paused: bool
    schedule: str
    next_run: str
    broken: bool

    @property
    def state(self) -> str:
        """``active``, ``paused`` or ``broken``."""
        return "broken" if self.broken else "paused" if self.paused else "active"


@dataclass(frozen=True)
class ImportFailure:
    """A DAG file that cannot be imported.

    Attributes:
        id: the import error's id in Airflow.
        file: path of the file in the scheduler's pod.
        timestamp: when it was last parsed, as Airflow formats it.
        traceback: Python's traceback.
    """

    id: int
    file: str
    timestamp: str
    traceback: str

    @property
    def reason(self) -> str:
        """The traceback's last line."""
        lines = [line.strip() for line in self.traceback.splitlines() if line.strip()]
        return lines[-1] if lines else "no reason given"


def list_dags(client: AirflowClient) -> list[Dag]:
    """Return all DAGs whose files exist, sorted by id."""
    return [read_dag(item) for item in client.list_all("/dags", "dags", order_by="dag_id")]


def find_dag_details(client: AirflowClient, dag_id: str) -> Mapping[str, Any] | None:
    """Return a DAG's details as Airflow returns them, or None if there is no such DAG."""
    return client.find(f"/dags/{quoted(dag_id)}/details")


def find_dag_source(client: AirflowClient, file_token: str) -> str:
    """Return the text of a DAG's file, as Airflow last parsed it; empty if it is not stored.

    Args:
        client: Airflow.
        file_token: the field of the DAG's details that names its file.
    """
    try:
        return client.text(f"/dagSources/{quoted(file_token)}")
    except AirflowApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return ""
        raise
    except AirflowUnavailableError as error:
        # Airflow forgets to answer 404 (dag_source_endpoint.py: get_dag_source does not handle
        # DagCodeNotFound) for a DAG whose file is gone, until it notices that the DAG is, too.
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return ""
        raise


def set_paused(client: AirflowClient, dag_id: str, paused: bool) -> None:
    """Pause or unpause a DAG."""
    path = f"/dags/{quoted(dag_id)}"
    client.patch(path, {"is_paused": paused}, update_mask="is_paused")


def delete_dag_history(client: AirflowClient, dag_id: str) -> bool:
    """Delete a DAG's runs and metadata; return False if Airflow has none."""
    return client.delete(f"/dags/{quoted(dag_id)}", timeout=MANY_TASKS_TIMEOUT)


def list_import_failures(client: AirflowClient) -> list[ImportFailure]:
    """Return the DAG files that cannot be imported."""
    return [
        ImportFailure(
            item["import_error_id"], item["filename"], item["timestamp"], item["stack_trace"]
        )
        for item in client.list_all("/importErrors", "import_errors")
    ]


def ensure_pool(client: AirflowClient, name: str, slots: int) -> bool:
    """Create a pool unless it exists; return True if it was created."""
    if client.find(f"/pools/{quoted(name)}") is not None:
        return False
    client.post("/pools", {"name": name, "slots": slots})
    return True


def dag_url(client: AirflowClient, dag_id: str) -> str:
    """Return the address of a DAG's page in Airflow's UI."""
    return f"{client.url}/dags/{quoted(dag_id)}/grid"


def read_dag(item: Mapping[str, Any]) -> Dag:
    """Return a DAG from an item of Airflow's list, or from its details."""
    schedule = item.get("schedule_interval") or {}
    return Dag(
        dag_id=item["dag_id"],
        paused=bool(item["is_paused"]),
        schedule=str(schedule.get("value") or ""),
        next_run=item.get("next_dagrun_create_after") or "",
        broken=bool(item.get("has_import_errors")),
    )
