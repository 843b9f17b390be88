"""Pools of Airflow's API: how many tasks of a group run at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.airflow.client import AirflowClient, quoted

DEFAULT_POOL = "default_pool"
"""The pool of tasks that name none; Airflow does not allow to delete it."""


@dataclass(frozen=True)
class Pool:
    """A pool.

    Attributes:
        name: its name.
        slots: how many slots its tasks may occupy at once; -1 for any number.
        running: slots of running tasks.
        queued: slots of tasks that were given to an executor.
        scheduled: slots of tasks that wait for a slot.
        deferred: slots of deferred tasks.
        include_deferred: True if deferred tasks occupy slots.
        description: what it is for.
    """

    name: str
    slots: int
    running: int
    queued: int
    scheduled: int
    deferred: int
    include_deferred: bool
    description: str


def list_pools(client: AirflowClient) -> list[Pool]:
    """Return all pools, sorted by name."""
    return [_pool(item) for item in client.list_all("/pools", "pools", order_by="name")]


def set_pool(
    client: AirflowClient,
    name: str,
    slots: int,
    description: str | None = None,
    include_deferred: bool | None = None,
) -> tuple[Pool, bool]:
    """Create a pool or change it; return it, and True if it is new.

    Args:
        client: Airflow.
        name: the pool.
        slots: number of slots; -1 for any number.
        description: what it is for; unchanged if None.
        include_deferred: whether deferred tasks occupy slots; unchanged if None.
    """
    given: dict[str, Any] = {"name": name, "slots": slots}
    if description is not None:
        given["description"] = description
    if include_deferred is not None:
        given["include_deferred"] = include_deferred
    path = f"/pools/{quoted(name)}"
    if client.find(path) is None:
        return _pool(client.post("/pools", given)), True
    mask = ",".join(field for field in given if field != "name")
    return _pool(client.patch(path, given, update_mask=mask)), False


def delete_pool(client: AirflowClient, name: str) -> bool:
    """Delete a pool; return False if it did not exist."""
    return client.delete(f"/pools/{quoted(name)}")


def _pool(item: Mapping[str, Any]) -> Pool:
    return Pool(
        name=item["name"],
        slots=int(item.get("slots", 0)),
        running=int(item.get("running_slots") or 0),
        queued=int(item.get("queued_slots") or 0),
        scheduled=int(item.get("scheduled_slots") or 0),
        deferred=int(item.get("deferred_slots") or 0),
        include_deferred=bool(item.get("include_deferred")),
        description=item.get("description") or "",
    )
