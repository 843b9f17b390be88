"""The mistakes in the settings of pools, all of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from devstack import quantity
from devstack.pools.instance_types import GIB, INSTANCE_TYPES
from devstack.pools.scaling import scaling_mistakes
from devstack.pools.settings import BASE_POOL, NODES_MAX, SPOT_TAINT, PoolSettings
from devstack.pools.taints import is_taint_of_state
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
_OWN_LABELS = ("devstack.dev/", "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch")
"""Labels that devstack sets, or that the kubelet sets back."""
_KUBERNETES = ("kubernetes.io/", "requests.")


def pool_mistakes(pools: object) -> list[str]:
    """Return every mistake in the tables ``[[pool]]``, one sentence each."""
    if not isinstance(pools, (list, tuple)) or not all(isinstance(each, Mapping) for each in pools):
        return ["pool: write each pool as a table [[pool]]"]
    fields = get_type_hints(PoolSettings, include_extras=True)
    found = list(_naming_mistakes(pools))
    for index, pool in enumerate(pools):
        wrong = table_mistakes(pool, fields)
        # Settings of the wrong type would only confuse the other checks.
        usable = {key: value for key, value in pool.items() if not _is_named(key, wrong)}
        wrong += [*_size_mistakes(usable), *_key_mistakes(usable), *_base_mistakes(usable)]
        wrong += [*_instance_mistakes(usable), *scaling_mistakes(usable)]
        found += [f"{_where(pool, index)}: {each}" for each in wrong]
    total = count_nodes(pools)
    if total > NODES_MAX:
        found.append(f"the pools have {total} nodes; more than {NODES_MAX} are not supported")
    return found


def count_nodes(pools: Iterable[Mapping[str, Any]]) -> int:
    """Return the most nodes that pools may have together, without the cluster's base nodes."""
    counts = (
        pool.get("max", pool.get("count", 1)) for pool in pools if pool.get("name") != BASE_POOL
    )
    return sum(count for count in counts if isinstance(count, int) and 0 < count <= NODES_MAX)


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
    yield from _taint_mistakes(pool)
    for name in pool.get("extended", {}):
        if not _KEY.fullmatch(name) or "/" not in name or name.startswith(_KUBERNETES):
            yield f"extended: {name!r} is not the name of a resource such as 'example.com/fpga'"


def _taint_mistakes(pool: Mapping[str, Any]) -> Iterator[str]:
    # Kubernetes: the taints of a node are unique by key and effect.
    seen = {_key_and_effect(SPOT_TAINT): "spot = true"} if pool.get("spot") else {}
    for taint in pool.get("taints", ()):
        key, effect = _key_and_effect(taint)
        if not _KEY.fullmatch(key):
            yield f"taints: {taint!r} has no valid key"
        elif is_taint_of_state(key):
            yield f"taints: {key!r} is set by devstack or Kubernetes itself"
        elif (key, effect) in seen:
            yield f"taints: {taint!r} has the same key and effect as {seen[key, effect]}"
        seen.setdefault((key, effect), repr(taint))


def _key_and_effect(taint: str) -> tuple[str, str]:
    pair, _, effect = taint.rpartition(":")
    return pair.partition("=")[0], effect


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
