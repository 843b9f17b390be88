"""Connections of Airflow's API; it never returns their passwords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowClient, quoted


@dataclass(frozen=True)
class Connection:
    """A connection, without its secrets.

    Attributes:
        connection_id: its id.
        type: its type, such as ``postgres`` or ``aws``.
        host: host name, or the first part of an address.
        port: port; None if it has none.
        login: user name.
        schema: database, or another part of the address.
        description: what it is for.
    """

    connection_id: str
    type: str
    host: str
    port: int | None
    login: str
    schema: str
    description: str


def list_connections(client: AirflowClient) -> list[Connection]:
    """Return the connections in Airflow's database, sorted by id."""
    items = client.list_all("/connections", "connections", order_by="connection_id")
    return [_connection(item) for item in items]


def save_connection(
    client: AirflowClient, fields: Mapping[str, Any], *, replace: bool = False
) -> bool:
    """Create a connection; return False if it exists, and is not to be replaced.

    Args:
        client: Airflow.
        fields: ``connection_id``, ``conn_type`` and others, as in Airflow's API; None for those
            that it does not have.
        replace: replace all fields of an existing one.
    """
    path = f"/connections/{quoted(str(fields['connection_id']))}"
    # The API refuses a password that is null.
    given = {name: value for name, value in fields.items() if value is not None}
    if client.find(path) is None:
        client.post("/connections", given)
        return True
    if replace and fields.get("password"):
        client.patch(path, fields)
    elif replace:
        # A change cannot remove a password: the former one would be sent to another host.
        client.delete(path)
        client.post("/connections", given)
    return replace


def delete_connection(client: AirflowClient, connection_id: str) -> bool:
    """Delete a connection; return False if it did not exist."""
    return client.delete(f"/connections/{quoted(connection_id)}")


def _connection(item: Mapping[str, Any]) -> Connection:
    return Connection(
        connection_id=item["connection_id"],
        type=item.get("conn_type") or "",
        host=item.get("host") or "",
        port=item.get("port"),
        login=item.get("login") or "",
        schema=item.get("schema") or "",
        description=item.get("description") or "",
    )
