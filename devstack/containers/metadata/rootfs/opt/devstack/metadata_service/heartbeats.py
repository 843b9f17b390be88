"""Heartbeats of runs and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metadata_service.reading import path_to
from metadata_service.records import RUN, TASK, path_names

INTERVAL_SECONDS = 10
"""The interval that clients should send heartbeats in."""

_RUN = """
    UPDATE runs r SET last_heartbeat_ts = epoch_milliseconds() FROM flows f
    WHERE r.flow = f.id AND f.flow_id = $1 AND r.run_id = $2 RETURNING r.id"""
_TASK = """
    UPDATE tasks t SET last_heartbeat_ts = epoch_milliseconds()
    FROM flows f JOIN runs r ON r.flow = f.id JOIN steps s ON s.run = r.id
    WHERE t.step = s.id
    AND f.flow_id = $1 AND r.run_id = $2 AND s.step_name = $3 AND t.task_id = $4 RETURNING t.id"""


def heartbeat_routes() -> Iterator[Route]:
    """Return the routes for heartbeats."""
    for depth in (RUN, TASK):
        yield Route(path_to(depth) + "/heartbeat", record_heartbeat, methods=["POST"])


async def record_heartbeat(request: Request) -> Response:
    """Record the time of a run's or a task's last heartbeat."""
    path = path_names(request)
    statement = _RUN if len(path) == RUN else _TASK
    async with acquire_connection(request) as connection:
        if await connection.fetchval(statement, *path) is None:
            raise ServiceError(404, f"there is no {'/'.join(path)}")
    # Metaflow's heartbeat expects JSON in a JSON string.
    return JsonResponse(json.dumps(json.dumps({"wait_time_in_seconds": INTERVAL_SECONDS})))
