"""Test a connection where tasks run, or show what the REST API withholds."""

from __future__ import annotations

import json
from typing import Any


def main(test: str) -> None:
    """Print the result of a connection's test, or all connections with their secrets.

    Args:
        test: the connection to test; empty to show all.
    """
    result = tested(test) if test else shown()
    print("DEVSTACK_RESULT " + json.dumps(result), flush=True)  # noqa: T201


def tested(connection_id: str) -> dict[str, Any]:
    """Return what the test of the connection's hook reports."""
    from airflow.exceptions import AirflowNotFoundException
    from airflow.hooks.base import BaseHook

    try:
        connection = BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return {"found": False, "ok": False, "message": "", "type": ""}
    ok, message = connection.test_connection()
    return {"found": True, "ok": ok, "message": str(message), "type": connection.conn_type}


def shown() -> dict[str, Any]:
    """Return password and extra of each connection."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        return {
            each.conn_id: {"password": each.password or "", "extra": each.extra or ""}
            for each in session.query(Connection)
        }
