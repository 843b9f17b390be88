"""DAGs, as Airflow's API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowClient, quoted


@dataclass(frozen=True)
class Dag:
    """One DAG that Airflow has parsed.

    Attributes:
        dag_id: its id.
        paused: True where nothing starts it and its tasks wait.
        schedule: a cron expression or a preset such as ``@daily``; empty where none.
        next_run: when it is started next, as Airflow writes times; empty where never.
        broken: True where the file as it is now cannot be imported.
    """

    dag_id: str
    paused: bool
    schedule: str
    next_run: str
    broken: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the DAG as it stands in the JSON envelope."""
        return {
            "dag_id": self.dag_id,
            "paused": self.paused,
            "schedule": self.schedule,
            "next_run": self.next_run,
            "broken": self.broken,
        }


@dataclass(frozen=True)
class ImportFailure:
    """A DAG file that cannot be imported.

    Attributes:
        id: Airflow's number of it.
        file: the file, as the scheduler names it.
        when: when it was tried last, as Airflow writes times.
        traceback: what Python said.
    """

    id: int
    file: str
    when: str
    traceback: str


def list_dags(client: AirflowClient) -> list[Dag]:
    """Return all DAGs whose files are there, by name."""
    return [_dag(each) for each in client.every("/dags", "dags", order_by="dag_id")]


def find_details(client: AirflowClient, dag_id: str) -> Mapping[str, Any] | None:
    """Return all that Airflow knows of a DAG, or None where it knows no such DAG."""
    return client.find(f"/dags/{quoted(dag_id)}/details")


def set_paused(client: AirflowClient, dag_id: str, paused: bool) -> None:
    """Pause a DAG, or let it run."""
    path = f"/dags/{quoted(dag_id)}"
    client.patch(path, {"is_paused": paused}, update_mask="is_paused")


def list_import_failures(client: AirflowClient) -> list[ImportFailure]:
    """Return the DAG files that cannot be imported."""
    return [
        ImportFailure(
            each["import_error_id"], each["filename"], each["timestamp"], each["stack_trace"]
        )
        for each in client.every("/importErrors", "import_errors")
    ]


def ensure_pool(client: AirflowClient, name: str, slots: int) -> bool:
    """Make a pool of task slots unless there is one; return whether it was made."""
    if client.find(f"/pools/{quoted(name)}") is not None:
        return False
    client.post("/pools", {"name": name, "slots": slots})
    return True


def _dag(item: Mapping[str, Any]) -> Dag:
    schedule = item.get("schedule_interval") or {}
    return Dag(
        dag_id=item["dag_id"],
        paused=bool(item["is_paused"]),
        schedule=str(schedule.get("value") or ""),
        next_run=item.get("next_dagrun_create_after") or "",
        broken=bool(item.get("has_import_errors")),
    )
