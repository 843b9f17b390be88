"""Lists of the API: filters, order and pages.

As in ``api/v2beta1/filter.proto`` of kubeflow/pipelines; of its operations, EQUALS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from database_service.errors import ServiceError
from starlette.requests import Request

from kubeflow_pipelines.records import Message, Row

_EQUALS = ("EQUALS", 1)
"""kfp's client sends the number, metaflow-kubeflow the word."""

_DEFAULT_PAGE, _LARGEST_PAGE = 20, 200


@dataclass(frozen=True)
class Listing:
    """Which records to list.

    Attributes:
        conditions: values that columns must have.
        order: the columns to sort by, in SQL.
        offset: number of records on the pages before.
        size: maximum number of records.
    """

    conditions: Mapping[str, object]
    order: str
    offset: int
    size: int

    def limited_to(self, column: str, value: str) -> Listing:
        """Return the same of the records that have a value."""
        return replace(self, conditions={**self.conditions, column: value})

    async def page(
        self, connection: Any, table: str, key: str, show: Callable[[Row], Message]
    ) -> Message:
        """Return a page of records as a message.

        Args:
            connection: to the database.
            table: where the records are.
            key: the message's field for them.
            show: returns a record as a message.
        """
        values = list(self.conditions.values())
        tests = [f"{name} = ${place}" for place, name in enumerate(self.conditions, 1)]
        records = f"FROM {table}" + (f" WHERE {' AND '.join(tests)}" if tests else "")
        # One more than the page has.
        limits = f"LIMIT {self.size + 1} OFFSET {self.offset}"
        # Names of columns and tables are constants of this service.
        query = f"SELECT * {records} ORDER BY {self.order} {limits}"
        rows = await connection.fetch(query, *values)
        total = await connection.fetchval(f"SELECT count(*) {records}", *values)
        return {
            key: [show(row) for row in rows[: self.size]],
            "total_size": total,
            "next_page_token": str(self.offset + self.size) if len(rows) > self.size else "",
        }


def read_listing(request: Request, id_column: str, columns: Sequence[str] = ()) -> Listing:
    """Return what a request wants to see of a list.

    Args:
        request: the request.
        id_column: what clients call the column ``id``.
        columns: columns for conditions and for the order, besides id, names and times.

    Raises:
        ServiceError: 400 if the service has no such filter, order or page.
    """
    known = {
        id_column: "id",
        "id": "id",
        "display_name": "display_name",
        "name": "display_name",
        "created_at": "created_at",
        **{name: name for name in columns},
    }
    query = request.query_params
    return Listing(
        _conditions(query.get("filter") or "", known),
        _order(query.get("sort_by") or "created_at", known),
        _number(query.get("page_token") or "0", "page_token"),
        min(_number(query.get("page_size") or "0", "page_size") or _DEFAULT_PAGE, _LARGEST_PAGE),
    )


def _conditions(text: str, known: Mapping[str, str]) -> dict[str, object]:
    if not text:
        return {}
    try:
        predicates = json.loads(text).get("predicates") or []
        return dict(_condition(each, known) for each in predicates)
    except (AttributeError, TypeError, ValueError) as error:
        raise ServiceError(400, f"the filter is invalid: {error}") from error


def _condition(predicate: Mapping[str, Any], known: Mapping[str, str]) -> tuple[str, object]:
    operation, key = predicate.get("operation"), str(predicate.get("key"))
    if operation not in _EQUALS:
        raise ServiceError(400, f"the filter operation {operation!r} is not supported, only EQUALS")
    if key not in known or key == "created_at":
        raise ServiceError(400, f"a filter by {key!r} is not supported")
    value = predicate.get("stringValue", predicate.get("string_value"))
    if not isinstance(value, str):
        raise ServiceError(400, f"the filter by {key!r} has no stringValue")
    return known[key], value


def _order(text: str, known: Mapping[str, str]) -> str:
    name, _, direction = text.partition(" ")
    if name not in known or direction not in ("", "asc", "desc"):
        raise ServiceError(400, f"cannot sort by {text!r}")
    # The second column makes the order complete, so that pages do not overlap.
    return f"{known[name]} {direction or 'asc'}, id"


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise ServiceError(400, f"{name} must be a number, not {text!r}")
    return int(text)
