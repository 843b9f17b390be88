"""The application: routes, who may call them, and what becomes of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest

import asyncpg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from metadata_service.answers import JsonText
from metadata_service.database import Database
from metadata_service.errors import ServiceError
from metadata_service.heartbeats import heartbeat_routes
from metadata_service.reading import reading_routes
from metadata_service.registration import registration_routes
from metadata_service.settings import Settings
from metadata_service.tags import tag_routes

VERSION = "2.5.0"
"""The version of upstream's service that this one can do as much as; Metaflow asks."""

OPEN = ("/ping", "/ready")
"""What the kubelet's probes ask, who have no key."""


def build_application(settings: Settings) -> Starlette:
    """Return the application; it connects to the database when it is started."""
    database = Database(settings.database, settings.connections, settings.patience)

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
            ServiceError: _refuse,
            HTTPException: _refuse_unknown,
            asyncpg.DataError: _refuse_data,
            Exception: _fail,
        },
    )
    application.state.database = database
    return application


class _KeyCheck:
    """Lets only those in who have the key.

    Args:
        app: what serves the others.
        key: the key; empty lets everyone in.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._may(scope):
            refused = _answer(403, "the header x-api-key is missing, or not this stack's")
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        if not self._key or scope["path"] in OPEN:
            return True
        return compare_digest(dict(scope["headers"]).get(b"x-api-key", b""), self._key)


async def _ping(request: Request) -> Response:
    return PlainTextResponse("pong", headers={"METADATA_SERVICE_VERSION": VERSION})


async def _ready(request: Request) -> Response:
    database: Database = request.app.state.database
    await database.check()
    return PlainTextResponse("ready")


def _answer(status: int, message: str) -> Response:
    headers = {"Retry-After": "1"} if status == 503 else None
    return JsonText({"message": message}, status, headers)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _answer(error.status, error.message)


async def _refuse_unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _answer(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
    answer.headers.update(error.headers or {})
    return answer


async def _refuse_data(request: Request, error: Exception) -> Response:
    """Answer for what the database cannot take, such as a pattern that is none."""
    return _answer(400, str(error))


async def _fail(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours; the server logs it."""
    return _answer(500, f"{type(error).__name__}: {error}")
