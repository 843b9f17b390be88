"""Pipelines and their versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kubeflow_pipelines.lists import read_listing
from kubeflow_pipelines.records import (
    API,
    Message,
    Row,
    find_row,
    new_id,
    spec_of,
    timestamp,
)
from kubeflow_pipelines.translation.pipeline import Pipeline
from kubeflow_pipelines.uploads import read_upload

_PIPELINE = """
    INSERT INTO pipelines (id, display_name, description) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING *"""
_VERSION = """
    INSERT INTO pipeline_versions (id, pipeline_id, display_name, description, spec)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING *"""
_FIND_VERSION = "SELECT * FROM pipeline_versions WHERE pipeline_id = $1 AND id = $2"
_LATEST = """
    SELECT * FROM pipeline_versions WHERE pipeline_id = $1
    ORDER BY created_at DESC LIMIT 1"""


def pipeline_routes() -> Iterator[Route]:
    """Return the routes."""
    one, versions = API + "/pipelines/{pipeline}", API + "/pipelines/{pipeline}/versions"
    yield Route(API + "/pipelines/upload", upload_pipeline, methods=["POST"])
    yield Route(API + "/pipelines/upload_version", upload_version, methods=["POST"])
    yield Route(API + "/pipelines", list_pipelines)
    yield Route(one, show_pipeline, methods=["GET"])
    yield Route(one, delete_pipeline, methods=["DELETE"])
    yield Route(versions, list_versions)
    yield Route(versions + "/{version}", show_version, methods=["GET"])
    yield Route(versions + "/{version}", delete_version, methods=["DELETE"])


async def upload_pipeline(request: Request) -> Response:
    """Create a pipeline, and its first version, which has the pipeline's name."""
    pipeline = await read_upload(request)
    query = request.query_params
    name = query.get("display_name") or query.get("name") or pipeline.name
    async with acquire_connection(request) as connection, connection.transaction():
        description = query.get("description", "")
        row = await connection.fetchrow(_PIPELINE, new_id(), name, description)
        if row is None:
            raise ServiceError(409, f"a pipeline {name} exists already")
        await _add_version(connection, row["id"], name, description, pipeline)
    return JsonResponse(_pipeline(row))


async def upload_version(request: Request) -> Response:
    """Create a version of a pipeline."""
    pipeline = await read_upload(request)
    query = request.query_params
    pipeline_id = query.get("pipelineid", "")
    name = query.get("display_name") or query.get("name") or pipeline.name
    async with acquire_connection(request) as connection:
        await find_row(connection, "pipelines", "pipeline", pipeline_id)
        description = query.get("description", "")
        row = await _add_version(connection, pipeline_id, name, description, pipeline)
    return JsonResponse(_version(row))


async def _add_version(
    connection: Any, pipeline_id: str, name: str, description: str, pipeline: Pipeline
) -> Row:
    spec = json.dumps(spec_of(pipeline))
    row = await connection.fetchrow(_VERSION, new_id(), pipeline_id, name, description, spec)
    if row is None:
        raise ServiceError(409, f"the pipeline has a version {name} already")
    return row


async def list_pipelines(request: Request) -> Response:
    """List pipelines."""
    listing = read_listing(request, "pipeline_id")
    async with acquire_connection(request) as connection:
        page = await listing.page(connection, "pipelines", "pipelines", _pipeline)
    return JsonResponse(page)


async def show_pipeline(request: Request) -> Response:
    """Return a pipeline."""
    async with acquire_connection(request) as connection:
        row = await find_row(connection, "pipelines", "pipeline", request.path_params["pipeline"])
    return JsonResponse(_pipeline(row))


async def delete_pipeline(request: Request) -> Response:
    """Delete a pipeline; its versions only with ``cascade``, as upstream's backend."""
    pipeline_id = request.path_params["pipeline"]
    cascade = request.query_params.get("cascade", "").lower() == "true"
    async with acquire_connection(request) as connection, connection.transaction():
        await find_row(connection, "pipelines", "pipeline", pipeline_id)
        if cascade:
            await connection.execute(
                "DELETE FROM pipeline_versions WHERE pipeline_id = $1", pipeline_id
            )
        elif await connection.fetchrow(_LATEST, pipeline_id):
            raise ServiceError(400, "the pipeline has versions: delete them first, or use cascade")
        await connection.execute("DELETE FROM pipelines WHERE id = $1", pipeline_id)
    return JsonResponse({})


async def list_versions(request: Request) -> Response:
    """List the versions of a pipeline."""
    pipeline_id = request.path_params["pipeline"]
    listing = read_listing(request, "pipeline_version_id").limited_to("pipeline_id", pipeline_id)
    async with acquire_connection(request) as connection:
        await find_row(connection, "pipelines", "pipeline", pipeline_id)
        page = await listing.page(connection, "pipeline_versions", "pipeline_versions", _version)
    return JsonResponse(page)


async def show_version(request: Request) -> Response:
    """Return a version with its specification."""
    path = request.path_params
    async with acquire_connection(request) as connection:
        row = await find_version(connection, path["pipeline"], path["version"])
    return JsonResponse(_version(row))


async def delete_version(request: Request) -> Response:
    """Delete a version; runs and schedules of it go on."""
    path = request.path_params
    async with acquire_connection(request) as connection:
        row = await find_version(connection, path["pipeline"], path["version"])
        await connection.execute("DELETE FROM pipeline_versions WHERE id = $1", row["id"])
    return JsonResponse({})


async def find_version(connection: Any, pipeline_id: str, version_id: str = "") -> Row:
    """Return a version of a pipeline; the latest one if ``version_id`` is empty.

    Raises:
        ServiceError: 404 if there is none.
    """
    if version_id:
        row = await connection.fetchrow(_FIND_VERSION, pipeline_id, version_id)
    else:
        row = await connection.fetchrow(_LATEST, pipeline_id)
    if row is None:
        raise ServiceError(404, f"pipeline {pipeline_id} has no version {version_id}".rstrip())
    return row


def _pipeline(row: Row) -> Message:
    return {
        "pipeline_id": row["id"],
        "display_name": row["display_name"],
        "name": row["display_name"],
        "description": row["description"],
        "created_at": timestamp(row["created_at"]),
    }


def _version(row: Row) -> Message:
    return {
        "pipeline_id": row["pipeline_id"],
        "pipeline_version_id": row["id"],
        "display_name": row["display_name"],
        "name": row["display_name"],
        "description": row["description"],
        "created_at": timestamp(row["created_at"]),
        "pipeline_spec": json.loads(row["spec"]),
    }
