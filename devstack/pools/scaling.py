"""Pools whose nodes appear when pods need them: `min`, `max`, `delay` and `idle`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devstack.pools.settings import BASE_POOL, PoolSettings

IDLE_SECONDS = 60
"""Seconds without pods after which a node is removed, if the pool does not say."""


@dataclass(frozen=True)
class Scaling:
    """How a pool changes by itself.

    Attributes:
        least: the number of nodes that it always has.
        most: the number of nodes that it may have.
        delay: seconds after which a node is created for a pod that has none.
        idle: seconds without pods after which a node is removed.
    """

    least: int
    most: int
    delay: float
    idle: float


def scaling_of(pool: PoolSettings) -> Scaling | None:
    """Return how a pool changes by itself; None if it has a fixed number of nodes."""
    if "max" not in pool:
        return None
    idle = pool.get("idle", IDLE_SECONDS)
    return Scaling(pool.get("min", 0), pool["max"], pool.get("delay", 0), idle)


def smallest(pools: Iterable[PoolSettings]) -> list[PoolSettings]:
    """Return the pools with as few nodes as they may have."""
    return [_with_count(pool, "min") for pool in pools]


def largest(pools: Iterable[PoolSettings]) -> list[PoolSettings]:
    """Return the pools with as many nodes as they may have."""
    return [_with_count(pool, "max") for pool in pools]


def scaling_mistakes(pool: Mapping[str, Any]) -> list[str]:
    """Return the mistakes in the settings of one pool, as ends of sentences."""
    found = []
    if "max" not in pool:
        lost = [name for name in ("min", "delay", "idle") if name in pool]
        found += [f"{name} has no effect without max" for name in lost]
    elif "count" in pool:
        found.append("count and max exclude each other: min is the number of nodes at first")
    elif pool.get("min", 0) > pool["max"]:
        found.append(f"min is {pool['min']}, which is more than max, {pool['max']}")
    if "max" in pool and pool.get("name") == BASE_POOL:
        found.append("the nodes that every cluster has are neither added nor removed")
    return found


def _with_count(pool: PoolSettings, limit: str) -> PoolSettings:
    if "max" not in pool:
        return pool
    count = pool["max"] if limit == "max" else pool.get("min", 0)
    return {**pool, "count": count}
