"""JSON bodies of requests and responses."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from database_service.database import Database
from database_service.errors import ServiceError

MAX_BODY_BYTES = 32 << 20
"""Enough for a task with a hundred thousand artifacts."""


class JsonResponse(Response):
    """A response in JSON, which the database may have encoded already."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body; a string is JSON already."""
        text = content if isinstance(content, str) else json.dumps(content)
        return text.encode()


def acquire_connection(request: Request) -> AbstractAsyncContextManager[Any]:
    """Acquire a database connection; see :meth:`Database.connection`."""
    database: Database = request.app.state.database
    return database.connection()


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


async def read_bytes(request: Request, limit: int, what: str) -> bytes:
    """Return the body.

    Args:
        request: the request.
        limit: the most bytes, a number of MiB.
        what: names the body, for an error.

    Raises:
        ServiceError: 413.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise ServiceError(413, f"{what} has more than {limit >> 20} MiB")
    return bytes(body)


async def _read(request: Request) -> Any:
    body = await read_bytes(request, MAX_BODY_BYTES, "the body")
    try:
        return sanitize(json.loads(body or b"{}"))
    except ValueError as error:
        raise ServiceError(400, f"the body is not JSON: {error}") from error


def sanitize(value: Any) -> Any:
    """Replace what Postgres cannot store as text: NUL and unpaired surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [sanitize(item) for item in value]
    if isinstance(value, dict):
        return {sanitize(key): sanitize(item) for key, item in value.items()}
    return value
