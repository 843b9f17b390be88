"""Experiments: groups of runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection, read_object
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kubeflow_pipelines.lists import read_listing
from kubeflow_pipelines.records import API, Message, Row, find_row, new_id, timestamp

DEFAULT = "Default"
"""The experiment of runs that name none, as upstream's backend has it."""

_INSERT = """
    INSERT INTO experiments (id, display_name, description) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING *"""
_BY_NAME = "SELECT * FROM experiments WHERE display_name = $1"
_IN_USE = """
    SELECT EXISTS (SELECT FROM runs WHERE experiment_id = $1)
    OR EXISTS (SELECT FROM recurring_runs WHERE experiment_id = $1)"""


def experiment_routes() -> Iterator[Route]:
    """Return the routes."""
    one = API + "/experiments/{experiment}"
    yield Route(API + "/experiments", list_experiments, methods=["GET"])
    yield Route(API + "/experiments", create_experiment, methods=["POST"])
    yield Route(one, show_experiment, methods=["GET"])
    yield Route(one, delete_experiment, methods=["DELETE"])


async def list_experiments(request: Request) -> Response:
    """List experiments."""
    listing = read_listing(request, "experiment_id", ["storage_state"])
    async with acquire_connection(request) as connection:
        page = await listing.page(connection, "experiments", "experiments", _experiment)
    return JsonResponse(page)


async def create_experiment(request: Request) -> Response:
    """Create an experiment."""
    body = await read_object(request)
    name = body.get("display_name")
    if not isinstance(name, str) or not name:
        raise ServiceError(400, "an experiment needs a display_name")
    async with acquire_connection(request) as connection:
        description = str(body.get("description") or "")
        row = await connection.fetchrow(_INSERT, new_id(), name, description)
    if row is None:
        raise ServiceError(409, f"an experiment {name} exists already")
    return JsonResponse(_experiment(row))


async def show_experiment(request: Request) -> Response:
    """Return an experiment."""
    async with acquire_connection(request) as connection:
        row = await find_row(
            connection, "experiments", "experiment", request.path_params["experiment"]
        )
    return JsonResponse(_experiment(row))


async def delete_experiment(request: Request) -> Response:
    """Delete an experiment without runs."""
    experiment = request.path_params["experiment"]
    async with acquire_connection(request) as connection, connection.transaction():
        await find_row(connection, "experiments", "experiment", experiment)
        if await connection.fetchval(_IN_USE, experiment):
            raise ServiceError(400, "the experiment has runs: delete them first")
        await connection.execute("DELETE FROM experiments WHERE id = $1", experiment)
    return JsonResponse({})


async def experiment_of(connection: Any, experiment_id: object) -> str:
    """Return the id of a run's experiment: the given one, or the default, which may be new.

    Raises:
        ServiceError: 404 if there is none of this id.
    """
    if experiment_id:
        row = await find_row(connection, "experiments", "experiment", str(experiment_id))
        return str(row["id"])
    await connection.execute(_INSERT, new_id(), DEFAULT, "")
    row = await connection.fetchrow(_BY_NAME, DEFAULT)
    return str(row["id"])


def _experiment(row: Row) -> Message:
    return {
        "experiment_id": row["id"],
        "display_name": row["display_name"],
        "description": row["description"],
        "created_at": timestamp(row["created_at"]),
        "storage_state": row["storage_state"],
    }
