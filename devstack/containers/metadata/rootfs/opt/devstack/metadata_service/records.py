"""The kinds of records, and the query that reads each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from database_service.errors import ServiceError
from starlette.requests import Request

FLOW, RUN, STEP, TASK, ARTIFACT = 1, 2, 3, 4, 5
"""The number of names in the path of a record of each kind."""

NAMES = ("flow", "run", "step", "task", "artifact")
"""The names in the path of a record, in order."""

_COLUMNS = ("f.flow_id", "r.run_id", "s.step_name", "t.task_id", "a.name")
_NEWEST_FIRST, _OLDEST_FIRST = "DESC", "ASC"
_START = {_NEWEST_FIRST: 2**63 - 1, _OLDEST_FIRST: 0}
"""The key that precedes the first record of a list."""

_RUN_TAGS = "r.tags, r.system_tags"
_OF_RUN = f"f.flow_id, r.run_id AS run_number, {_RUN_TAGS}"
_OF_TASK = f"{_OF_RUN}, s.step_name, t.task_id"
_RUNS = "flows f JOIN runs r ON r.flow = f.id"
_STEPS = f"{_RUNS} JOIN steps s ON s.run = r.id"
TASKS = f"{_STEPS} JOIN tasks t ON t.step = s.id"
# An attempt registers all its artifacts when it ends: those of the latest attempt
# count, or of the requested one.
_ARTIFACTS = f"""{TASKS} JOIN LATERAL (
    SELECT coalesce({{attempt}}::integer, max(attempt_id)) AS id FROM artifacts WHERE task = t.id
) attempt ON true JOIN artifacts a ON a.task = t.id AND a.attempt_id = attempt.id"""  # noqa: S608


@dataclass(frozen=True)
class Kind:
    """One kind of record.

    Attributes:
        name: in the singular.
        plural: the name of a list, in a path.
        depth: the number of names in the path of one.
        source: the tables, joined.
        key: the column that orders them.
        order: "DESC" if the newest comes first.
        fields: the columns returned.
    """

    name: str
    plural: str
    depth: int
    source: str
    key: str
    order: str
    fields: str

    def query(self, depth: int) -> str:
        """Return the query for the records below a path of ``depth`` names.

        Its parameters are those names, then the attempt for artifacts, then
        the key after which to start, and the maximum number of rows.
        """
        conditions = [f"{column} = ${n}" for n, column in enumerate(_COLUMNS[:depth], 1)]
        attempt = 1 if self.plural == "artifacts" else 0
        after, limit = depth + attempt + 1, depth + attempt + 2
        sign = "<" if self.order == _NEWEST_FIRST else ">"
        conditions.append(f"{self.key} {sign} ${after}::bigint")
        return f"""
            SELECT {self.key} AS key,
                (SELECT row_to_json(record)::text FROM (SELECT {self.fields}) record) AS json
            FROM {self.source.format(attempt=f"${depth + 1}")}
            WHERE {" AND ".join(conditions)}
            ORDER BY {self.key} {self.order} LIMIT ${limit}::bigint"""  # noqa: S608 - built from constants only


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "flow",
            "flows",
            FLOW,
            "flows f",
            "f.id",
            _NEWEST_FIRST,
            "f.flow_id, f.user_name, f.ts_epoch, f.tags, f.system_tags",
        ),
        Kind(
            "run",
            "runs",
            RUN,
            _RUNS,
            "r.id",
            _NEWEST_FIRST,
            f"{_OF_RUN}, r.user_name, r.ts_epoch, r.last_heartbeat_ts",
        ),
        Kind(
            "step",
            "steps",
            STEP,
            _STEPS,
            "s.id",
            _NEWEST_FIRST,
            f"{_OF_RUN}, s.step_name, s.user_name, s.ts_epoch",
        ),
        Kind(
            "task",
            "tasks",
            TASK,
            TASKS,
            "t.id",
            _NEWEST_FIRST,
            f"{_OF_TASK}, t.user_name, t.ts_epoch, t.last_heartbeat_ts",
        ),
        Kind(
            "artifact",
            "artifacts",
            ARTIFACT,
            _ARTIFACTS,
            "a.id",
            _OLDEST_FIRST,
            f"{_OF_TASK}, a.attempt_id, a.name, a.location, a.ds_type, a.sha, a.type, "
            "a.content_type, a.user_name, a.ts_epoch",
        ),
        Kind(
            "metadata",
            "metadata",
            ARTIFACT,
            f"{TASKS} JOIN metadata m ON m.task = t.id",
            "m.id",
            # The later of two entries with one name counts, even within one millisecond.
            _OLDEST_FIRST,
            "m.id, f.flow_id, r.run_id AS run_number, s.step_name, t.task_id, m.field_name, "
            "m.value, m.type, m.tags, m.user_name, m.ts_epoch",
        ),
    )
}


@dataclass(frozen=True)
class Page:
    """A list of records, or a part of it.

    Attributes:
        records: each as JSON.
        last: the key of the last one, after which the next page starts.
    """

    records: Sequence[str]
    last: int | None


def path_names(request: Request) -> list[str]:
    """Return the names in the request's path, from the flow down."""
    return [request.path_params[name] for name in NAMES if name in request.path_params]


async def list_records(
    connection: Any,
    kind: Kind,
    path: Sequence[str],
    *,
    attempt: int | None = None,
    after: int | None = None,
    limit: int | None = None,
) -> Page:
    """Return the records of one kind below a path.

    Args:
        connection: to the database.
        kind: which records.
        path: the names of the parent, or of one record.
        attempt: the attempt whose artifacts are listed; None means the latest.
        after: the key of the last record of the previous page.
        limit: the maximum number of records; None means all.
    """
    arguments: list[object] = [*path]
    if kind.plural == "artifacts":
        arguments.append(attempt)
    start = _START[kind.order] if after is None else after
    rows = await connection.fetch(kind.query(len(path)), *arguments, start, limit)
    return Page([row["json"] for row in rows], rows[-1]["key"] if rows else None)


async def find_record(connection: Any, path: Sequence[str], attempt: int | None = None) -> str:
    """Return the record at ``path``, as JSON.

    Raises:
        ServiceError: 404 if there is none.
    """
    kind = KINDS[NAMES[len(path) - 1]]
    page = await list_records(connection, kind, path, attempt=attempt)
    if not page.records:
        raise ServiceError(404, f"there is no {kind.name} {'/'.join(path)}")
    return page.records[0]
