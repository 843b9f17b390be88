"""Checks of Airflow and its database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

from devstack.airflow.client import AirflowClient, AirflowUnavailableError, quoted
from devstack.airflow.dags import list_import_failures
from devstack.airflow.health import METADATABASE, SCHEDULER, Health, get_health
from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.kube.readiness import unavailable_reason
from devstack.services import postgres
from devstack.services.airflow import service as airflow
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from devstack.stack import Stack

PARSE_DEADLINE = timedelta(minutes=3)
"""DAG files are parsed every few seconds; after this long, the scheduler has stopped doing so."""


def _check_database(stack: Stack) -> list[Finding]:
    _require(stack, "postgres")
    if reason := unavailable_reason(stack.kube(REQUEST_TIMEOUT), postgres.NAMESPACE, "postgres"):
        remedy = "devstack logs postgres; `devstack up` restarts it"
        return [Finding(f"Postgres is down: {reason}", remedy, "DATABASE_DOWN")]
    return [finding for each in _installations(stack) for finding in _unusable(stack, each)]


def _unusable(stack: Stack, installation: Installation) -> Iterator[Finding]:
    if METADATABASE in _health(stack, installation).unhealthy:
        name = installation.named("airflow")
        remedy = f"devstack logs {name}; `devstack up` resets the password and the schema"
        cause = f"Airflow{_of(installation)} cannot use its database"
        yield Finding(cause, remedy, "DATABASE_DOWN")


def _check_schedulers(stack: Stack) -> list[Finding]:
    found = _required_installations(stack)
    return [finding for each in found for finding in _check_scheduler(stack, each)]


def _check_scheduler(stack: Stack, installation: Installation) -> Iterator[Finding]:
    name = installation.named("airflow")
    of = _of(installation)
    remedy = f"devstack logs {name}; `devstack up` restarts it"
    kube = stack.kube(REQUEST_TIMEOUT)
    if reason := unavailable_reason(kube, installation.namespace, "airflow-scheduler"):
        cause = f"Airflow's scheduler{of} is down, so no task starts: {reason}"
        yield Finding(cause, remedy, "SCHEDULER_DOWN")
        return
    health = _health(stack, installation)
    if SCHEDULER in health.unhealthy:
        heartbeat = health.scheduler_heartbeat
        last = heartbeat.isoformat() if heartbeat else "never"
        cause = f"Airflow's scheduler{of} hangs; its latest heartbeat: {last}"
        yield Finding(cause, remedy, "SCHEDULER_DOWN")


def _check_dags(stack: Stack) -> list[Finding]:
    found, answered = [], False
    for installation in _required_installations(stack):
        try:
            found += _check_dags_of(stack, installation)
            answered = True
        except AirflowUnavailableError:
            # Reported by the check of services.
            continue
    if not answered:
        raise NotApplicableError("Airflow does not respond")
    return found


def _check_dags_of(stack: Stack, installation: Installation) -> list[Finding]:
    case = _Dags(installation, _client(stack, installation))
    dags = list(case.client.list_all("/dags", "dags"))
    return [*case.broken(), *case.not_parsed(dags), *case.paused(dags), *case.missing_pools(dags)]


@dataclass(frozen=True)
class _Dags:
    """The DAGs of an installation.

    Attributes:
        installation: the installation.
        client: its API.
    """

    installation: Installation
    client: AirflowClient

    @property
    def _of(self) -> str:
        return _of(self.installation)

    @property
    def _command(self) -> str:
        return f"devstack airflow {self.installation.option}"

    def broken(self) -> Iterator[Finding]:
        for failure in list_import_failures(self.client):
            file = PurePosixPath(failure.file).name
            cause = f"DAG file {file}{self._of} cannot be imported: {failure.reason}"
            remedy = f"deploy the flow again: {self._command}deploy FLOW.py; or delete the DAG"
            yield Finding(cause, remedy, "DAG_BROKEN")

    def not_parsed(self, dags: list[dict[str, Any]]) -> Iterator[Finding]:
        now = datetime.now(timezone.utc)
        for dag in dags:
            parsed = dag.get("last_parsed_time")
            late = parsed and now - datetime.fromisoformat(parsed) > PARSE_DEADLINE
            if dag["is_active"] and late:
                cause = f"DAG {dag['dag_id']}{self._of} was last parsed at {parsed}: "
                logs = f"devstack logs {self.installation.named('airflow')}"
                remedy = f"{logs} shows what the scheduler does"
                yield Finding(f"{cause}later changes are not seen", remedy, "DAG_NOT_PARSED")

    def paused(self, dags: list[dict[str, Any]]) -> Iterator[Finding]:
        for dag_id in (dag["dag_id"] for dag in dags if dag["is_paused"]):
            path = f"/dags/{quoted(dag_id)}/dagRuns"
            if count := self.client.get(path, state="queued", limit=1)["total_entries"]:
                cause = f"DAG {dag_id}{self._of} is paused, and {count} of its runs are queued"
                remedy = (
                    f"unpause it: {self._command}trigger --unpause {dag_id} starts one more run"
                )
                yield Finding(cause, remedy, "DAG_PAUSED", severity="warning")

    def missing_pools(self, dags: list[dict[str, Any]]) -> Iterator[Finding]:
        pools = {pool["name"] for pool in self.client.list_all("/pools", "pools")}
        for dag_id in (dag["dag_id"] for dag in dags if dag["is_active"]):
            tasks = self.client.get(f"/dags/{quoted(dag_id)}/tasks")["tasks"]
            for pool in sorted({task["pool"] for task in tasks} - pools):
                cause = f"DAG {dag_id}{self._of} uses the pool {pool!r}, which does not exist: "
                remedy = f"{self._command}deploy FLOW.py --worker-pool {pool} creates it"
                yield Finding(f"{cause}its tasks wait", remedy, "POOL_MISSING")


def _require(stack: Stack, service: str) -> None:
    if not _has(stack, service):
        raise NotApplicableError(f"the stack leaves out {service}")


def _has(stack: Stack, service: str) -> bool:
    return any(each.name == service for each in stack.services)


def _installations(stack: Stack) -> list[Installation]:
    return [each.installation for each in stack.services if isinstance(each, AirflowService)]


def _required_installations(stack: Stack) -> list[Installation]:
    found = _installations(stack)
    if not found:
        _require(stack, "airflow")
    return found


def _of(installation: Installation) -> str:
    return f" of the installation {installation.prefix!r}" if installation.prefix else ""


def _client(stack: Stack, installation: Installation) -> AirflowClient:
    return airflow.connect(stack.context(None), installation, timeout=REQUEST_TIMEOUT)


def _health(stack: Stack, installation: Installation) -> Health:
    """Return Airflow's health; without complaints if the web server is down.

    That has a check of its own.
    """
    try:
        return get_health(_client(stack, installation))
    except AirflowUnavailableError:
        return Health({})


AIRFLOW_CHECKS = (
    Check(
        "database",
        "the database answers",
        _check_database,
        (
            Fault(
                "DATABASE_DOWN",
                "Postgres is down, or Airflow cannot use its database.",
                "`devstack logs postgres`; `devstack up` restarts it.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "scheduler",
        "Airflow's scheduler is running",
        _check_schedulers,
        (
            Fault(
                "SCHEDULER_DOWN",
                "Airflow's scheduler is down or hangs, so no task starts.",
                "`devstack logs airflow`; `devstack up` restarts it.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "dags",
        "Airflow can run its DAGs",
        _check_dags,
        (
            Fault(
                "DAG_BROKEN",
                "Airflow cannot import a DAG's file.",
                "Deploy the flow again, or delete the DAG.",
            ),
            Fault(
                "DAG_NOT_PARSED",
                "The scheduler has stopped parsing DAG files.",
                "`devstack logs airflow`.",
            ),
            Fault("DAG_PAUSED", "Runs of a paused DAG are queued.", "Unpause it.", "warning"),
            Fault(
                "POOL_MISSING",
                "A DAG uses a pool of Airflow that does not exist: its tasks wait.",
                "`devstack airflow deploy FLOW.py --worker-pool POOL` creates it.",
            ),
        ),
        needs_stack=True,
    ),
)
