"""The requests that read records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlencode

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metadata_service.records import (
    ARTIFACT,
    FLOW,
    KINDS,
    NAMES,
    RUN,
    STEP,
    TASK,
    TASKS,
    Kind,
    Page,
    find_record,
    list_records,
    path_names,
)

Handler = Callable[[Request], Awaitable[Response]]

_TASKS_BY_METADATA = f"""
    SELECT concat_ws('/', f.flow_id, r.run_id, s.step_name, t.task_id) FROM {TASKS}
    WHERE f.flow_id = $1 AND r.run_id = $2 AND s.step_name = $3
    AND ($4::text IS NULL AND $5::text IS NULL OR EXISTS (
        SELECT FROM metadata m WHERE m.task = t.id
        AND ($4 IS NULL OR m.field_name = $4) AND ($5 IS NULL OR m.value ~ $5)
    )) ORDER BY t.id"""  # noqa: S608 - built from constants only


def path_to(depth: int) -> str:
    """Return the route of a record with ``depth`` names in its path, such as ``{flow}``."""
    return "".join(f"/{name}s/{{{name}}}" for name in NAMES[:depth])


def reading_routes() -> Iterator[Route]:
    """Return the routes of single records and of lists."""
    attempt = "/attempt/{attempt:int}"
    for depth in range(FLOW, ARTIFACT + 1):
        yield Route(path_to(depth), _show)
    yield Route(path_to(ARTIFACT) + attempt, _show)
    yield Route(path_to(STEP) + "/filtered_tasks", _filter_tasks)
    for kind in KINDS.values():
        shallowest = RUN if kind.name == "metadata" else 0
        for depth in range(shallowest, kind.depth):
            yield Route(f"{path_to(depth)}/{kind.plural}", _lister(kind))
    yield Route(f"{path_to(TASK)}{attempt}/artifacts", _lister(KINDS["artifact"]))


async def _show(request: Request) -> Response:
    attempt = request.path_params.get("attempt")
    async with acquire_connection(request) as connection:
        return JsonResponse(await find_record(connection, path_names(request), attempt))


def _lister(kind: Kind) -> Handler:
    async def list_(request: Request) -> Response:
        path = path_names(request)
        limit = _number(request, "limit")
        async with acquire_connection(request) as connection:
            page = await list_records(
                connection,
                kind,
                path,
                attempt=request.path_params.get("attempt"),
                after=_number(request, "after"),
                limit=limit,
            )
            if not page.records and path:
                # An empty list is not an error, but a missing parent is.
                await find_record(connection, path)
        return JsonResponse(f"[{','.join(page.records)}]", headers=_next(request, page, limit))

    return list_


async def _filter_tasks(request: Request) -> Response:
    """Return the paths of a step's tasks; never 404, which Metaflow takes for an older service."""
    query = request.query_params
    filters = query.get("metadata_field_name") or None, query.get("pattern") or None
    async with acquire_connection(request) as connection:
        rows = await connection.fetch(_TASKS_BY_METADATA, *path_names(request), *filters)
    return JsonResponse([row[0] for row in rows])


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or int(text) >= 2**63:
        raise ServiceError(400, f"{name} must be a number, not {text!r}")
    return int(text)


def _next(request: Request, page: Page, limit: int | None) -> dict[str, str]:
    if limit is None or page.last is None or len(page.records) < limit:
        return {}
    query = urlencode({"limit": limit, "after": page.last})
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
