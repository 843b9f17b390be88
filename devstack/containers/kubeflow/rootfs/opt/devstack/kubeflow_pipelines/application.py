"""The application: routes, authentication, error responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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

from kubeflow_pipelines.archive import archive_routes
from kubeflow_pipelines.experiments import experiment_routes
from kubeflow_pipelines.kubernetes import Kubernetes
from kubeflow_pipelines.pipelines import pipeline_routes
from kubeflow_pipelines.records import API
from kubeflow_pipelines.recurring_runs import recurring_run_routes
from kubeflow_pipelines.runs import run_routes
from kubeflow_pipelines.settings import Settings
from kubeflow_pipelines.synchronization import synchronize

NAME = "kubeflow-pipelines"
MIGRATIONS = Path(__file__).with_name("migrations")

BACKEND = "devstack's pipelines API on Argo"
"""Which backend it is, for those who look at the port."""

HEALTH = API + "/healthz"
UNAUTHENTICATED = ("/ping", "/ready", HEALTH)
"""Paths for the kubelet's probes, which have no token, and what kfp's client asks first.

The client tries the latter for 25 s, and then shows no reason; of other calls it shows it at once.
"""

SYNCHRONIZATION_SECONDS = 300.0
"""Argo keeps finished workflows for a week; their final states must be recorded before that."""

_GRPC_CODES = {400: 3, 401: 16, 404: 5, 409: 6, 501: 12, 503: 14}
"""Codes of gRPC, which upstream's API has in the bodies of errors."""

_LOG = logging.getLogger(__name__)


def build_application(settings: Settings) -> Starlette:
    """Return the application, which connects to the database on startup."""
    database = Database(
        NAME, MIGRATIONS, settings.database, settings.connections, settings.acquire_timeout
    )
    kubernetes = Kubernetes(settings.target.namespace, settings.kubernetes)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        task = asyncio.create_task(_keep_synchronized(database, kubernetes))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await database.close()

    application = Starlette(
        routes=[
            Route("/", _home),
            Route("/ping", _ping),
            Route("/ready", _ready),
            Route(HEALTH, _health),
            *pipeline_routes(),
            # Before routes whose ids would match "ID:archive".
            *archive_routes(),
            *experiment_routes(),
            *run_routes(),
            *recurring_run_routes(),
        ],
        lifespan=lifespan,
        middleware=[Middleware(_TokenCheck, token=settings.token)],
        exception_handlers={
            ServiceError: _handle_service_error,
            HTTPException: _handle_http_exception,
            asyncpg.DataError: _handle_data_error,
            Exception: _handle_bug,
        },
    )
    application.state.database = database
    application.state.kubernetes = kubernetes
    application.state.settings = settings
    return application


async def _keep_synchronized(database: Database, kubernetes: Kubernetes) -> None:
    """Record the states of runs at regular intervals, also without requests."""
    while True:
        await asyncio.sleep(SYNCHRONIZATION_SECONDS)
        try:
            async with database.connection() as connection:
                await synchronize(connection, kubernetes)
        except (ServiceError, OSError, asyncpg.PostgresError) as error:
            _LOG.warning("cannot look at the runs: %s", error)


class _TokenCheck:
    """Rejects requests without the token.

    Args:
        app: the application behind it.
        token: the token; empty accepts every request.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_authorized(scope):
            message = (
                "this needs the stack's token: kfp.Client(existing_token="
                "os.environ['DEVSTACK_KUBEFLOW_TOKEN']), in devstack shell"
            )
            await _error_response(401, message)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_authorized(self, scope: Scope) -> bool:
        if not self._expected or scope["path"] in UNAUTHENTICATED:
            return True
        return compare_digest(dict(scope["headers"]).get(b"authorization", b""), self._expected)


async def _home(request: Request) -> Response:
    return PlainTextResponse(f"{BACKEND}; the API is below {API}\n")


async def _ping(request: Request) -> Response:
    return PlainTextResponse("pong")


async def _ready(request: Request) -> Response:
    database: Database = request.app.state.database
    await database.check()
    return PlainTextResponse("ready")


async def _health(request: Request) -> Response:
    return JsonResponse({"multi_user": False, "pipeline_store": BACKEND})


def _error_response(status: int, message: str) -> Response:
    """Return an error as upstream's API writes it (grpc-gateway)."""
    headers = {"Retry-After": "1"} if status == 503 else None
    body = {"error": message, "code": _GRPC_CODES.get(status, 2), "message": message, "details": []}
    return JsonResponse(body, status, headers)


async def _handle_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _error_response(error.status, error.message)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    if error.status_code in (404, 405):
        message += "; devstack's pipelines API does not have this call"
    return _error_response(error.status_code, message)


async def _handle_data_error(request: Request, error: Exception) -> Response:
    """Respond to values that the database rejects, such as a NUL character."""
    return _error_response(400, str(error))


async def _handle_bug(request: Request, error: Exception) -> Response:
    """Respond to a bug of this service; the server logs it."""
    return _error_response(500, f"{type(error).__name__}: {error}")
