"""Checks of Airflow and the database: parts that are down, DAGs that cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

from devstack.airflow.client import AirflowClient, AirflowUnavailableError, quoted
from devstack.airflow.dags import list_import_failures
from devstack.doctor.check import Check, Finding
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import APPS
from devstack.services import postgres
from devstack.services.airflow import service as airflow
from devstack.stack import Stack
from devstack.waits import Ready

STALE = timedelta(minutes=3)
"""DAG files are read every few seconds; one that was not for this long is no longer read."""

_HEALTHY = "healthy"


def _database(stack: Stack) -> list[Finding]:
    if not _has(stack, "postgres"):
        return []
    if why := _why_down(stack, postgres.NAMESPACE, "postgres"):
        remedy = "devstack logs postgres; devstack up starts it again, and waits for it"
        return [Finding(f"Postgres is down: {why}", remedy, "DATABASE_DOWN")]
    if _has(stack, "airflow") and _state(_health(stack), "metadatabase") != _HEALTHY:
        remedy = "devstack logs airflow shows why; devstack up sets password and tables again"
        return [Finding("Airflow cannot use its database", remedy, "DATABASE_DOWN")]
    return []


def _scheduler(stack: Stack) -> list[Finding]:
    if not _has(stack, "airflow"):
        return []
    remedy = "devstack logs airflow; devstack up starts it again"
    if why := _why_down(stack, airflow.NAMESPACE, "airflow-scheduler"):
        cause = f"Airflow's scheduler is down, so no task starts: {why}"
        return [Finding(cause, remedy, "SCHEDULER_DOWN")]
    health = _health(stack)
    if _state(health, "scheduler") != _HEALTHY:
        last = (health.get("scheduler") or {}).get("latest_scheduler_heartbeat") or "never"
        cause = f"Airflow's scheduler runs but does nothing; it was last heard of: {last}"
        return [Finding(cause, remedy, "SCHEDULER_DOWN")]
    return []


def _dags(stack: Stack) -> list[Finding]:
    if not _has(stack, "airflow"):
        return []
    client = _client(stack)
    try:
        dags = [*client.every("/dags", "dags")]
        return [
            *_broken(client),
            *_unread(client, dags),
            *_paused(client, dags),
            *_without_pool(client, dags),
        ]
    except AirflowUnavailableError:
        return []  # the check of services says so


def _broken(client: AirflowClient) -> Iterator[Finding]:
    for failure in list_import_failures(client):
        lines = failure.traceback.strip().splitlines() or ["no reason given"]
        cause = f"DAG file {PurePosixPath(failure.file).name} cannot be imported: {lines[-1]}"
        remedy = "deploy the flow again: devstack airflow deploy FLOW.py; or delete the DAG"
        yield Finding(cause, remedy, "DAG_BROKEN")


def _unread(client: AirflowClient, dags: list[dict[str, Any]]) -> Iterator[Finding]:
    now = datetime.now(timezone.utc)
    for dag in dags:
        stamp = dag.get("last_parsed_time")
        if dag["is_active"] and stamp and now - datetime.fromisoformat(stamp) > STALE:
            cause = f"DAG {dag['dag_id']} was last parsed at {stamp}: changes of it are not seen"
            remedy = "devstack logs airflow shows what the scheduler is at"
            yield Finding(cause, remedy, "DAG_NOT_PARSED")


def _paused(client: AirflowClient, dags: list[dict[str, Any]]) -> Iterator[Finding]:
    for dag_id in (dag["dag_id"] for dag in dags if dag["is_paused"]):
        waiting = client.get(f"/dags/{quoted(dag_id)}/dagRuns", state="queued", limit=1)
        if count := waiting["total_entries"]:
            cause = f"DAG {dag_id} is paused, and {count} of its runs wait for that to end"
            remedy = f"unpause it: devstack airflow trigger --unpause {dag_id} starts one more run"
            yield Finding(cause, remedy, "DAG_PAUSED", severity="warning")


def _without_pool(client: AirflowClient, dags: list[dict[str, Any]]) -> Iterator[Finding]:
    pools = {pool["name"] for pool in client.every("/pools", "pools")}
    for dag_id in (dag["dag_id"] for dag in dags if dag["is_active"]):
        tasks = client.get(f"/dags/{quoted(dag_id)}/tasks")["tasks"]
        for pool in sorted({task["pool"] for task in tasks} - pools):
            cause = f"DAG {dag_id} names the pool {pool!r}, which is not there: its tasks wait"
            remedy = f"devstack airflow deploy FLOW.py --worker-pool {pool} makes it"
            yield Finding(cause, remedy, "POOL_MISSING")


def _why_down(stack: Stack, namespace: str, name: str) -> str:
    kube = stack.kube()
    live = kube.find(APPS, "Deployment", name, namespace)
    if live and live["spec"].get("replicas") == 0:
        return f"Deployment {namespace}/{name} is scaled to nothing"
    seen = observe_deployment(kube, namespace, name)
    return "" if isinstance(seen, Ready) else seen.reason


def _has(stack: Stack, service: str) -> bool:
    return any(each.name == service for each in stack.services)


def _client(stack: Stack) -> AirflowClient:
    ctx = stack.context(stack.kube())
    password = ctx.state.credential("airflow_admin_password")
    return AirflowClient(airflow.url(ctx), password, timeout=5.0)


def _health(stack: Stack) -> dict[str, Any]:
    """Return Airflow's word on its parts; all well where it says nothing at all.

    A web server that is away has a check of its own.
    """
    try:
        return _client(stack).health()
    except AirflowUnavailableError:
        return {}


def _state(health: dict[str, Any], part: str) -> str:
    return str((health.get(part) or {"status": _HEALTHY})["status"])


AIRFLOW_CHECKS = (
    Check("database", "the database answers", _database, needs_stack=True),
    Check("scheduler", "Airflow's scheduler is at work", _scheduler, needs_stack=True),
    Check("dags", "Airflow can run its DAGs", _dags, needs_stack=True),
)
