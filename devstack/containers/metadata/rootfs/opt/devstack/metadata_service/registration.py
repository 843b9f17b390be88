"""Registration of flows, runs, steps, tasks, artifacts and metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from database_service.errors import ServiceError
from database_service.json_bodies import (
    JsonResponse,
    acquire_connection,
    read_object,
    read_objects,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metadata_service.reading import path_to
from metadata_service.records import FLOW, NAMES, STEP, TASK, TASKS, find_record, path_names

_FLOW = """
    INSERT INTO flows (flow_id, user_name, tags, system_tags) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING flow_id"""
# Clients may provide names; other records get numbers from one sequence for all flows.
_RUN = """
    INSERT INTO runs (id, flow, run_id, user_name, tags, system_tags)
    SELECT number, id, coalesce($2, number::text), $3, $4, $5
    FROM (SELECT id, nextval('run_numbers') AS number FROM flows WHERE flow_id = $1) parents
    ON CONFLICT DO NOTHING RETURNING run_id"""
_STEP = """
    INSERT INTO steps (run, step_name, user_name)
    SELECT r.id, $3, $4 FROM flows f JOIN runs r ON r.flow = f.id
    WHERE f.flow_id = $1 AND r.run_id = $2
    ON CONFLICT DO NOTHING RETURNING step_name"""
_TASK = """
    INSERT INTO tasks (id, step, task_id, user_name)
    SELECT number, id, coalesce($4, number::text), $5 FROM (
        SELECT s.id, nextval('task_numbers') AS number
        FROM flows f JOIN runs r ON r.flow = f.id JOIN steps s ON s.run = r.id
        WHERE f.flow_id = $1 AND r.run_id = $2 AND s.step_name = $3
    ) parents
    ON CONFLICT DO NOTHING RETURNING task_id"""
_TASK_KEY = f"""
    SELECT t.id FROM {TASKS}
    WHERE f.flow_id = $1 AND r.run_id = $2 AND s.step_name = $3 AND t.task_id = $4"""  # noqa: S608
# Metaflow retries requests that got no response, so an artifact may be registered twice.
_ARTIFACTS = """
    INSERT INTO artifacts
        (task, attempt_id, name, location, ds_type, sha, type, content_type, user_name)
    SELECT $1, coalesce(attempt_id, 0), name, location, ds_type, sha, type, content_type, user_name
    FROM json_to_recordset($2::json) AS given (
        attempt_id integer, name text, location text, ds_type text, sha text, type text,
        content_type text, user_name text
    )
    ON CONFLICT (task, attempt_id, name) DO UPDATE SET
        location = EXCLUDED.location, ds_type = EXCLUDED.ds_type, sha = EXCLUDED.sha,
        type = EXCLUDED.type, content_type = EXCLUDED.content_type,
        user_name = EXCLUDED.user_name, ts_epoch = EXCLUDED.ts_epoch"""
_METADATA = """
    INSERT INTO metadata (task, field_name, value, type, tags, user_name)
    SELECT $1, field_name, value, type, coalesce(tags, '{}'), user_name
    FROM json_to_recordset($2::json)
        AS given (field_name text, value text, type text, tags text[], user_name text)"""


def registration_routes() -> Iterator[Route]:
    """Return the routes for registration."""
    post = ["POST"]
    yield Route(path_to(FLOW), register_flow, methods=post)
    yield Route(path_to(FLOW) + "/run", register_run, methods=post)
    yield Route(path_to(STEP) + "/step", register_step, methods=post)
    yield Route(path_to(STEP) + "/task", register_task, methods=post)
    yield Route(path_to(TASK) + "/artifact", register_artifacts, methods=post)
    yield Route(path_to(TASK) + "/metadata", register_metadata, methods=post)


async def register_flow(request: Request) -> Response:
    """Register a flow."""
    body = await read_object(request)
    (flow,) = path_names(request)
    return await _insert(request, _Record(_FLOW, [], flow, [_user(body), *_tags(body)]))


async def register_run(request: Request) -> Response:
    """Register a run, by the name that the client provides, or by a number."""
    body = await read_object(request)
    name = _name(body, "run_number")
    parents = path_names(request)
    return await _insert(request, _Record(_RUN, parents, name, [_user(body), *_tags(body)]))


async def register_step(request: Request) -> Response:
    """Register a step."""
    body = await read_object(request)
    *parents, name = path_names(request)
    return await _insert(request, _Record(_STEP, parents, name, [_user(body)]))


async def register_task(request: Request) -> Response:
    """Register a task, by the name that the client provides, or by a number."""
    body = await read_object(request)
    name = _name(body, "task_id")
    return await _insert(request, _Record(_TASK, path_names(request), name, [_user(body)]))


async def register_artifacts(request: Request) -> Response:
    """Register the artifacts of a task; the last one of each name counts."""
    body = await read_objects(request)
    by_name = {(str(item.get("attempt_id") or 0), _required(item, "name")): item for item in body}
    await _add(request, _ARTIFACTS, list(by_name.values()))
    return JsonResponse({"artifacts_created": len(by_name)})


async def register_metadata(request: Request) -> Response:
    """Register metadata of a task; every entry is kept."""
    body = await read_objects(request)
    for item in body:
        _required(item, "field_name")
    await _add(request, _METADATA, body)
    return JsonResponse({"metadata_created": len(body)})


@dataclass(frozen=True)
class _Record:
    """A record to insert.

    Attributes:
        statement: inserts it and returns its name.
        parents: the names of the records that it belongs to.
        name: its own; None to get a number.
        values: further parameters of the statement.
    """

    statement: str
    parents: Sequence[str]
    name: str | None
    values: Sequence[object]


async def _insert(request: Request, record: _Record) -> Response:
    async with acquire_connection(request) as connection:
        name = await connection.fetchval(
            record.statement, *record.parents, record.name, *record.values
        )
        if name is None:
            await _raise_cause(connection, record)
        return JsonResponse(await find_record(connection, [*record.parents, name]))


async def _raise_cause(connection: Any, record: _Record) -> None:
    """Raise why nothing was inserted: the parent is missing, or the record exists."""
    if record.parents:
        await find_record(connection, record.parents)
    path = "/".join([*record.parents, str(record.name)])
    raise ServiceError(409, f"{NAMES[len(record.parents)]} {path} exists already")


async def _add(request: Request, statement: str, items: list[dict[str, Any]]) -> None:
    path = path_names(request)
    async with acquire_connection(request) as connection:
        task = await connection.fetchval(_TASK_KEY, *path)
        if task is None:
            raise ServiceError(404, f"there is no task {'/'.join(path)}")
        await connection.execute(statement, task, json.dumps(items))


def _name(body: dict[str, Any], field: str) -> str | None:
    """Return the name that the client provides, if any; only this service assigns numbers."""
    value = body.get(field)
    if value is None:
        return None
    name = str(value)
    if not name or "/" in name:
        raise ServiceError(400, f"{field} cannot be {name!r}")
    if name.isdecimal():
        raise ServiceError(400, f"{field} cannot be a number, {name}: omit it to get one")
    return name


def _required(item: dict[str, Any], field: str) -> str:
    if not isinstance(item.get(field), str):
        raise ServiceError(400, f"each item needs a {field}")
    return str(item[field])


def _user(body: dict[str, Any]) -> str | None:
    user = body.get("user_name")
    return None if user is None else str(user)


def _tags(body: dict[str, Any]) -> tuple[list[str], list[str]]:
    return _texts(body, "tags"), _texts(body, "system_tags")


def _texts(body: dict[str, Any], field: str) -> list[str]:
    value = body.get(field) or []
    if not isinstance(value, list):
        raise ServiceError(400, f"{field} must be a list")
    return sorted({str(item) for item in value})
