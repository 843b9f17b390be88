"""Variables of Airflow's API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowClient, quoted

_SENSITIVE = (
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "keyfile_dict",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "proxies",
    "proxy",
    "secret",
    "service_account",
    "token",
)
"""Parts of a key whose value Airflow masks in its UI and logs."""


@dataclass(frozen=True)
class Variable:
    """A variable.

    Attributes:
        key: its name.
        value: its value, as text.
        description: what it is for.
    """

    key: str
    value: str
    description: str

    @property
    def is_sensitive(self) -> bool:
        """True if Airflow masks its value, judging by the key."""
        return is_sensitive(self.key)


def is_sensitive(name: str) -> bool:
    """Return True if Airflow masks the value of something with this name."""
    return any(part in name.strip().lower() for part in _SENSITIVE)


def list_variables(client: AirflowClient) -> list[Variable]:
    """Return all variables, sorted by key."""
    items = client.list_all("/variables", "variables", order_by="key")
    return [_variable(item) for item in items]


def find_variable(client: AirflowClient, key: str) -> Variable | None:
    """Return a variable, or None if there is none with that key."""
    found = client.find(f"/variables/{quoted(key)}")
    return _variable(found) if found is not None else None


def set_variable(
    client: AirflowClient, key: str, value: str, description: str | None = None
) -> bool:
    """Create a variable or change it; return True if it is new.

    Args:
        client: Airflow.
        key: its name.
        value: its value.
        description: what it is for; unchanged if None.
    """
    given = {"key": key, "value": value}
    if description is not None:
        given["description"] = description
    if find_variable(client, key) is None:
        client.post("/variables", given)
        return True
    client.patch(f"/variables/{quoted(key)}", given)
    return False


def delete_variable(client: AirflowClient, key: str) -> bool:
    """Delete a variable; return False if it did not exist."""
    return client.delete(f"/variables/{quoted(key)}")


def _variable(item: Mapping[str, Any]) -> Variable:
    return Variable(item["key"], item.get("value") or "", item.get("description") or "")
