"""Runs of pipelines."""

from __future__ import annotations

import json
from collections.abc import Iterator

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
from kubeflow_pipelines.run_states import CANCELING, FINAL, PENDING
from kubeflow_pipelines.synchronization import refresh, synchronize
from kubeflow_pipelines.translation.unsupported import UnsupportedError
from kubeflow_pipelines.translation.workflows import build_workflow

_INSERT = """
    INSERT INTO runs (id, display_name, description, experiment_id, pipeline_id,
        pipeline_version_id, spec, parameters, state, object_name)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *"""
_DELETE = "DELETE FROM runs WHERE id = $1"
_STATE = "UPDATE runs SET state = $2 WHERE id = $1 AND finished_at IS NULL"


def run_routes() -> Iterator[Route]:
    """Return the routes."""
    one = API + "/runs/{run}"
    yield Route(API + "/runs", list_runs, methods=["GET"])
    yield Route(API + "/runs", create_run, methods=["POST"])
    yield Route(one + ":terminate", terminate_run, methods=["POST"])
    yield Route(one, show_run, methods=["GET"])
    yield Route(one, delete_run, methods=["DELETE"])


async def create_run(request: Request) -> Response:
    """Start a run: create its workflow."""
    body = await read_object(request)
    async with acquire_connection(request) as connection:
        asked = await read_request(connection, body, settings_of(request).target)
        try:
            workflow = build_workflow(asked.run, asked.target)
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
            PENDING,
            workflow["metadata"]["name"],
        )
        try:
            await kubernetes_of(request).create(workflow)
        except ServiceError:
            await connection.execute(_DELETE, asked.run.run_id)
            raise
    return JsonResponse(_run(row))


async def list_runs(request: Request) -> Response:
    """List runs."""
    columns = ["state", "storage_state", "recurring_run_id", "pipeline_id", "experiment_id"]
    listing = read_listing(request, "run_id", columns)
    if experiment := request.query_params.get("experiment_id"):
        listing = listing.limited_to("experiment_id", experiment)
    async with acquire_connection(request) as connection:
        await synchronize(connection, kubernetes_of(request))
        page = await listing.page(connection, "runs", "runs", _run)
    return JsonResponse(page)


async def show_run(request: Request) -> Response:
    """Return a run."""
    return JsonResponse(_run(await current_run(request)))


async def terminate_run(request: Request) -> Response:
    """Stop a run: its pods are killed."""
    row = await current_run(request)
    if row["state"] not in FINAL:
        await kubernetes_of(request).patch(
            "Workflow", row["object_name"], {"spec": {"shutdown": "Terminate"}}
        )
        async with acquire_connection(request) as connection:
            await connection.execute(_STATE, row["id"], CANCELING)
    return JsonResponse({})


async def delete_run(request: Request) -> Response:
    """Delete a run with its workflow and its pods."""
    row = await current_run(request)
    await kubernetes_of(request).delete("Workflow", row["object_name"])
    async with acquire_connection(request) as connection:
        await connection.execute(_DELETE, row["id"])
    return JsonResponse({})


async def current_run(request: Request) -> Row:
    """Return a run in its current state; it may be that of a schedule, and new.

    Raises:
        ServiceError: 404 if there is none.
    """
    run_id, kubernetes = request.path_params["run"], kubernetes_of(request)
    async with acquire_connection(request) as connection:
        row = await connection.fetchrow("SELECT * FROM runs WHERE id = $1", run_id)
        if row is None:
            await synchronize(connection, kubernetes)
        elif row["finished_at"] is None:
            await refresh(connection, kubernetes, row)
        return await find_row(connection, "runs", "run", run_id)


def _run(row: Row) -> Message:
    error = {"code": 2, "message": row["error"]} if row["error"] else None
    return without_none(
        {
            "run_id": row["id"],
            **run_fields(row),
            "storage_state": row["storage_state"],
            "scheduled_at": timestamp(row["scheduled_at"] or row["created_at"]),
            "finished_at": timestamp(row["finished_at"]),
            "state": row["state"],
            "error": error,
            "recurring_run_id": row["recurring_run_id"],
        }
    )
