"""Recurring runs: pipelines that a schedule starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection, read_object
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kubeflow_pipelines.lists import read_listing
from kubeflow_pipelines.records import (
    API,
    Message,
    Row,
    find_row,
    kubernetes_of,
    refused,
    run_fields,
    settings_of,
    timestamp,
    without_none,
)
from kubeflow_pipelines.run_requests import read_request
from kubeflow_pipelines.synchronization import synchronize
from kubeflow_pipelines.translation.schedules import interval_cron
from kubeflow_pipelines.translation.unsupported import UnsupportedError, require_only
from kubeflow_pipelines.translation.workflows import build_cron_workflow

_INSERT = """
    INSERT INTO recurring_runs (id, display_name, description, experiment_id, pipeline_id,
        pipeline_version_id, spec, parameters, cron, enabled, no_catchup, object_name)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *"""
_DELETE = "DELETE FROM recurring_runs WHERE id = $1"
_ENABLE = "UPDATE recurring_runs SET enabled = $2, updated_at = clock_timestamp() WHERE id = $1"


def recurring_run_routes() -> Iterator[Route]:
    """Return the routes."""
    one = API + "/recurringruns/{recurring_run}"
    yield Route(API + "/recurringruns", list_recurring_runs, methods=["GET"])
    yield Route(API + "/recurringruns", create_recurring_run, methods=["POST"])
    yield Route(one + ":enable", enable_recurring_run, methods=["POST"])
    yield Route(one + ":disable", disable_recurring_run, methods=["POST"])
    yield Route(one, show_recurring_run, methods=["GET"])
    yield Route(one, delete_recurring_run, methods=["DELETE"])


async def create_recurring_run(request: Request) -> Response:
    """Create a recurring run: its cron workflow."""
    body = await read_object(request)
    enabled = body.get("mode", "ENABLE") != "DISABLE"
    async with acquire_connection(request) as connection:
        asked = await read_request(connection, body, settings_of(request).target)
        try:
            cron = read_cron(body)
            workflow = build_cron_workflow(asked.run, asked.target, cron, enabled=enabled)
        except UnsupportedError as error:
            raise refused(error) from error
        row = await connection.fetchrow(
            _INSERT,
            asked.run.run_id,
            asked.run.name,
            asked.description,
            asked.experiment_id,
            asked.run.pipeline_id or None,
            asked.version_id or None,
            asked.spec,
            json.dumps(asked.run.parameters),
            cron,
            enabled,
            bool(body.get("no_catchup")),
            workflow["metadata"]["name"],
        )
        try:
            await kubernetes_of(request).create(workflow)
        except ServiceError:
            await connection.execute(_DELETE, asked.run.run_id)
            raise
    return JsonResponse(_recurring_run(row))


def read_cron(body: Message) -> str:
    """Return the cron expression of a message ``RecurringRun``.

    Raises:
        UnsupportedError: it asks for what Argo's schedules do not have.
    """
    where = "recurring run"
    trigger = body.get("trigger") or {}
    require_only(where, trigger, ("cron_schedule", "periodic_schedule"))
    schedule = trigger.get("cron_schedule") or {}
    require_only(where, schedule, ("cron",))
    periodic = trigger.get("periodic_schedule") or {}
    require_only(where, periodic, ("interval_second",))
    cron = schedule.get("cron") or interval_cron(str(periodic.get("interval_second") or "0"))
    concurrency = str(body.get("max_concurrency") or "1")
    if concurrency != "1":
        raise UnsupportedError(where, f"max_concurrency {concurrency}: only 1 is supported")
    return str(cron)


async def list_recurring_runs(request: Request) -> Response:
    """List recurring runs."""
    listing = read_listing(request, "recurring_run_id", ["pipeline_id", "experiment_id"])
    if experiment := request.query_params.get("experiment_id"):
        listing = listing.limited_to("experiment_id", experiment)
    async with acquire_connection(request) as connection:
        page = await listing.page(connection, "recurring_runs", "recurringRuns", _recurring_run)
    return JsonResponse(page)


async def show_recurring_run(request: Request) -> Response:
    """Return a recurring run."""
    return JsonResponse(_recurring_run(await _find(request)))


async def enable_recurring_run(request: Request) -> Response:
    """Let a schedule start runs again."""
    return await _enable(request, enabled=True)


async def disable_recurring_run(request: Request) -> Response:
    """Let a schedule start no runs."""
    return await _enable(request, enabled=False)


async def delete_recurring_run(request: Request) -> Response:
    """Delete a recurring run; its runs go on, and stay in the list of runs."""
    row, kubernetes = await _find(request), kubernetes_of(request)
    async with acquire_connection(request) as connection:
        # Without its record, it is unknown to which pipeline its runs belong.
        await synchronize(connection, kubernetes)
        await kubernetes.delete("CronWorkflow", row["object_name"], keep_owned=True)
        await connection.execute(_DELETE, row["id"])
    return JsonResponse({})


async def _enable(request: Request, *, enabled: bool) -> Response:
    row = await _find(request)
    async with acquire_connection(request) as connection:
        await set_enabled(request, connection, row, enabled=enabled)
    return JsonResponse({})


async def set_enabled(request: Request, connection: Any, row: Row, *, enabled: bool) -> None:
    """Let a recurring run start runs, or none."""
    changes = {"spec": {"suspend": not enabled}}
    await kubernetes_of(request).patch("CronWorkflow", row["object_name"], changes)
    await connection.execute(_ENABLE, row["id"], enabled)


async def _find(request: Request) -> Row:
    async with acquire_connection(request) as connection:
        return await find_row(
            connection,
            "recurring_runs",
            "recurring run",
            request.path_params["recurring_run"],
        )


def _recurring_run(row: Row) -> Message:
    return without_none(
        {
            "recurring_run_id": row["id"],
            **run_fields(row),
            "trigger": {"cron_schedule": {"cron": row["cron"]}},
            "max_concurrency": "1",
            "no_catchup": row["no_catchup"],
            "mode": "ENABLE" if row["enabled"] else "DISABLE",
            "status": "ENABLED" if row["enabled"] else "DISABLED",
            "updated_at": timestamp(row["updated_at"]),
        }
    )
