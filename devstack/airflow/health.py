"""Airflow's health: its components, DAG import errors, running and queued tasks."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from devstack.airflow.client import AirflowClient

SCHEDULER = "scheduler"
METADATABASE = "metadatabase"
_SHOWN_ERRORS = 3


@dataclass(frozen=True)
class Health:
    """Airflow's health endpoint.

    Attributes:
        components: True for each healthy component: scheduler, triggerer, metadatabase.
        scheduler_heartbeat: the scheduler's latest heartbeat; None if there was none.
    """

    components: Mapping[str, bool]
    scheduler_heartbeat: datetime | None = None

    @property
    def unhealthy(self) -> list[str]:
        """The unhealthy components."""
        return [name for name, healthy in self.components.items() if not healthy]


@dataclass(frozen=True)
class Activity:
    """What `devstack status` reports about Airflow.

    Attributes:
        health: the health endpoint.
        import_errors: number of DAG files that cannot be imported.
        broken_files: names of the first of them.
        running: number of running tasks.
        queued: number of tasks that wait for a slot or for their start.
    """

    health: Health
    import_errors: int = 0
    broken_files: tuple[str, ...] = ()
    running: int = 0
    queued: int = 0

    def __str__(self) -> str:
        parts = [f"{name} is unhealthy" for name in self.health.unhealthy]
        if self.health.scheduler_heartbeat:
            age = datetime.now(timezone.utc) - self.health.scheduler_heartbeat
            parts.append(f"scheduler heartbeat {max(0.0, age.total_seconds()):.0f} s ago")
        parts.append(f"{self.running} running, {self.queued} queued")
        parts.append(self._errors())
        return "; ".join(parts)

    def _errors(self) -> str:
        if not self.import_errors:
            return "no import errors"
        plural = "" if self.import_errors == 1 else "s"
        return f"{self.import_errors} import error{plural}: {', '.join(self.broken_files)}"


def get_health(client: AirflowClient) -> Health:
    """Return the state of Airflow's components.

    Raises:
        AirflowUnavailableError: the web server does not answer.
    """
    components = client.get("/health")
    # The status of a component that this installation does not run is null.
    healthy = {
        name: component["status"] == "healthy"
        for name, component in components.items()
        if component["status"]
    }
    stamp = components.get(SCHEDULER, {}).get("latest_scheduler_heartbeat")
    return Health(healthy, datetime.fromisoformat(stamp) if stamp else None)


def get_activity(client: AirflowClient) -> Activity:
    """Return what Airflow does at the moment; three requests in parallel.

    Raises:
        AirflowUnavailableError: the web server does not answer.
        AirflowApiError: it rejected a request.
    """
    with ThreadPoolExecutor(3) as pool:
        health = pool.submit(get_health, client)
        errors = pool.submit(client.get, "/importErrors", limit=_SHOWN_ERRORS)
        pools = pool.submit(client.get, "/pools")
        return _activity(health.result(), errors.result(), pools.result()["pools"])


def _activity(
    health: Health, errors: Mapping[str, Any], pools: list[Mapping[str, Any]]
) -> Activity:
    files = [PurePosixPath(error["filename"]).name for error in errors["import_errors"]]
    return Activity(
        health=health,
        import_errors=int(errors["total_entries"]),
        broken_files=tuple(files),
        running=sum(int(pool["running_slots"]) for pool in pools),
        queued=sum(int(pool["queued_slots"]) + int(pool["scheduled_slots"]) for pool in pools),
    )
