"""The mistakes in the settings of pools, all of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from devstack import quantity
from devstack.pools.instance_types import GIB, INSTANCE_TYPES
from devstack.pools.scaling import scaling_mistakes
from devstack.pools.settings import BASE_POOL, NODES_MAX, PoolSettings
from devstack.validation import closest_match, table_mistakes

_TIB = 1024 * GIB

LIMITS = {"memory": (GIB // 2, 24 * _TIB), "disk": (GIB, 8 * _TIB)}
"""Least and most bytes of a node: Kubernetes' own pods need memory, and ext4 ends at 16 TiB."""

BASE_CPUS, BASE_MEMORY = 2, 3 * GIB
"""The least that the stack's own services run with."""

# A qualified name, with an optional DNS domain: Kubernetes' validation/util.go.
_KEY = re.compile(
    r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_OWN_LABELS = ("devstack.dev/", "kubernetes.io/hostname")
_KUBERNETES = ("kubernetes.io/", "requests.")


def pool_mistakes(pools: object) -> list[str]:
    """Return every mistake in the tables ``[[pool]]``, one sentence each."""
    if not isinstance(pools, (list, tuple)) or not all(isinstance(each, Mapping) for each in pools):
        return ["pool: write each pool as a table [[pool]]"]
    fields = get_type_hints(PoolSettings, include_extras=True)
    found = list(_naming_mistakes(pools))
    total = 0
    for index, pool in enumerate(pools):
        wrong = table_mistakes(pool, fields)
        # Settings of the wrong type would only confuse the other checks.
        usable = {key: value for key, value in pool.items() if not _is_named(key, wrong)}
        wrong += [*_size_mistakes(usable), *_key_mistakes(usable), *_base_mistakes(usable)]
        wrong += [*_instance_mistakes(usable), *scaling_mistakes(usable)]
        found += [f"{_where(pool, index)}: {each}" for each in wrong]
        total += usable.get("max", usable.get("count", 1))
    if total > NODES_MAX:
        found.append(f"the pools have {total} nodes; more than {NODES_MAX} are not supported")
    return found


def _where(pool: Mapping[str, Any], index: int) -> str:
    return f"pool {pool['name']!r}" if pool.get("name") else f"pool number {index + 1}"


def _naming_mistakes(pools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [pool.get("name") for pool in pools]
    for index, pool in enumerate(pools):
        if not pool.get("name"):
            yield f"{_where(pool, index)} has no name"
        elif names.index(pool["name"]) < index:
            yield f"{_where(pool, index)} is defined twice"


def _is_named(key: str, mistakes: Sequence[str]) -> bool:
    return any(each.startswith((f"{key}:", f"{key}.")) for each in mistakes)


def _size_mistakes(pool: Mapping[str, Any]) -> Iterator[str]:
    for name, (least, most) in LIMITS.items():
        amount = quantity.parse(pool[name]) if name in pool else None
        if amount is not None and not least <= amount <= most:
            yield (
                f"{name}: {pool[name]!r} is not between {least // 1024**2}Mi and {most // _TIB}Ti"
            )


def _key_mistakes(pool: Mapping[str, Any]) -> Iterator[str]:
    for key in pool.get("labels", {}):
        if not _KEY.fullmatch(key):
            yield f"labels: {key!r} is not the name of a label"
        elif key.startswith(_OWN_LABELS):
            yield f"labels: {key!r} is set by devstack or Kubernetes itself"
    for taint in pool.get("taints", ()):
        if not _KEY.fullmatch(taint.partition(":")[0].partition("=")[0]):
            yield f"taints: {taint!r} has no valid key"
    for name in pool.get("extended", {}):
        if not _KEY.fullmatch(name) or "/" not in name or name.startswith(_KUBERNETES):
            yield f"extended: {name!r} is not the name of a resource such as 'example.com/fpga'"


def _base_mistakes(pool: Mapping[str, Any]) -> Iterator[str]:
    if pool.get("name") != BASE_POOL:
        return
    if "count" in pool:
        yield "count: --nodes is the number of these nodes"
    for name in ("spot", "taints"):
        if pool.get(name):
            yield f"{name}: the stack's own services run on these nodes"
    if pool.get("cpu", BASE_CPUS) < BASE_CPUS:
        yield f"cpu: the stack's own services need {BASE_CPUS}"
    memory = quantity.parse(pool["memory"]) if "memory" in pool else None
    if memory is not None and memory < BASE_MEMORY:
        yield f"memory: the stack's own services need {BASE_MEMORY // GIB}Gi"


def _instance_mistakes(pool: Mapping[str, Any]) -> list[str]:
    kind = pool.get("instance_type", "")
    sized = {"cpu", "memory"} <= pool.keys()
    if not kind or kind in INSTANCE_TYPES or sized:
        return []
    closest = closest_match(kind, INSTANCE_TYPES)
    hint = f" (did you mean {closest!r}?)" if closest else ""
    return [f"devstack does not know the size of {kind!r}{hint}: add cpu and memory"]
