"""What requests and answers have in common."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metadata_service.database import Database
from metadata_service.errors import ServiceError
from metadata_service.records import NAMES

MOST_BYTES = 32 << 20
"""The largest body taken: a task with a hundred thousand artifacts."""


class JsonText(Response):
    """An answer in JSON, which the database may have written already."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body; text is JSON already."""
        text = content if isinstance(content, str) else json.dumps(content)
        return text.encode()


def connection_for(request: Request) -> AbstractAsyncContextManager[Any]:
    """Lend a connection to the request; see :meth:`Database.connection`."""
    database: Database = request.app.state.database
    return database.connection()


def names_of(request: Request) -> list[str]:
    """Return the names on the request's path, from the flow down."""
    return [request.path_params[name] for name in NAMES if name in request.path_params]


async def read_object(request: Request) -> dict[str, Any]:
    """Return the body, an object.

    Raises:
        ServiceError: 400 or 413.
    """
    body = await _read(request)
    if not isinstance(body, dict):
        raise ServiceError(400, "the body must be a JSON object")
    return body


async def read_objects(request: Request) -> list[dict[str, Any]]:
    """Return the body, a list of objects.

    Raises:
        ServiceError: 400 or 413.
    """
    body = await _read(request)
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise ServiceError(400, "the body must be a JSON list of objects")
    return body


async def _read(request: Request) -> Any:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ServiceError(413, f"the body has more than {MOST_BYTES >> 20} MiB")
    try:
        return storable(json.loads(body or b"{}"))
    except ValueError as error:
        raise ServiceError(400, f"the body is not JSON: {error}") from error


def storable(value: Any) -> Any:
    """Return ``value`` without what Postgres cannot keep in a text: NUL and half characters."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value
