"""Signs of life of runs and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metadata_service.answers import JsonText, connection_for, names_of
from metadata_service.errors import ServiceError
from metadata_service.reading import path_to
from metadata_service.records import RUN, TASK

PAUSE_SECONDS = 10
"""How long a process should wait before its next sign of life."""

_RUN = """
    UPDATE runs r SET last_heartbeat_ts = epoch_milliseconds() FROM flows f
    WHERE r.flow = f.id AND f.flow_id = $1 AND r.run_id = $2 RETURNING r.id"""
_TASK = """
    UPDATE tasks t SET last_heartbeat_ts = epoch_milliseconds()
    FROM flows f JOIN runs r ON r.flow = f.id JOIN steps s ON s.run = r.id
    WHERE t.step = s.id
    AND f.flow_id = $1 AND r.run_id = $2 AND s.step_name = $3 AND t.task_id = $4 RETURNING t.id"""


def heartbeat_routes() -> Iterator[Route]:
    """Return the routes that take signs of life."""
    for depth in (RUN, TASK):
        yield Route(path_to(depth) + "/heartbeat", note_heartbeat, methods=["POST"])


async def note_heartbeat(request: Request) -> Response:
    """Keep when a run or a task was last alive."""
    path = names_of(request)
    statement = _RUN if len(path) == RUN else _TASK
    async with connection_for(request) as connection:
        if await connection.fetchval(statement, *path) is None:
            raise ServiceError(404, f"there is no {'/'.join(path)}")
    # Metaflow's heartbeat expects JSON in a JSON string.
    return JsonText(json.dumps(json.dumps({"wait_time_in_seconds": PAUSE_SECONDS})))
