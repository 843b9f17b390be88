"""The application: routes, authentication, error responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest
from pathlib import Path

import asyncpg
from database_service.database import Database
from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from metadata_service.heartbeats import heartbeat_routes
from metadata_service.reading import reading_routes
from metadata_service.registration import registration_routes
from metadata_service.settings import Settings
from metadata_service.tags import tag_routes

NAME = "metaflow-metadata"
MIGRATIONS = Path(__file__).with_name("migrations")

VERSION = "2.5.0"
"""The version of upstream's service whose features this one has; Metaflow checks it."""

UNAUTHENTICATED = ("/ping", "/ready")
"""Paths for the kubelet's probes, which have no key."""


def build_application(settings: Settings) -> Starlette:
    """Return the application, which connects to the database on startup."""
    database = Database(
        NAME, MIGRATIONS, settings.database, settings.connections, settings.acquire_timeout
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        yield
        await database.close()

    application = Starlette(
        routes=[
            Route("/ping", _ping),
            Route("/ready", _ready),
            *reading_routes(),
            *registration_routes(),
            *tag_routes(),
            *heartbeat_routes(),
        ],
        lifespan=lifespan,
        middleware=[Middleware(_KeyCheck, key=settings.key)],
        exception_handlers={
            ServiceError: _handle_service_error,
            HTTPException: _handle_http_exception,
            asyncpg.DataError: _handle_data_error,
            Exception: _handle_bug,
        },
    )
    application.state.database = database
    return application


class _KeyCheck:
    """Rejects requests without the key.

    Args:
        app: the application behind it.
        key: the key; empty accepts every request.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_authorized(scope):
            response = _error_response(403, "x-api-key is missing, or not this stack's")
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_authorized(self, scope: Scope) -> bool:
        if not self._key or scope["path"] in UNAUTHENTICATED:
            return True
        return compare_digest(dict(scope["headers"]).get(b"x-api-key", b""), self._key)


async def _ping(request: Request) -> Response:
    return PlainTextResponse("pong", headers={"METADATA_SERVICE_VERSION": VERSION})


async def _ready(request: Request) -> Response:
    database: Database = request.app.state.database
    await database.check()
    return PlainTextResponse("ready")


def _error_response(status: int, message: str) -> Response:
    headers = {"Retry-After": "1"} if status == 503 else None
    return JsonResponse({"message": message}, status, headers)


async def _handle_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _error_response(error.status, error.message)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _error_response(
        error.status_code, f"{request.method} {request.url.path}: {error.detail}"
    )
    response.headers.update(error.headers or {})
    return response


async def _handle_data_error(request: Request, error: Exception) -> Response:
    """Respond to values that the database rejects, such as an invalid pattern."""
    return _error_response(400, str(error))


async def _handle_bug(request: Request, error: Exception) -> Response:
    """Respond to a bug of this service; the server logs it."""
    return _error_response(500, f"{type(error).__name__}: {error}")
