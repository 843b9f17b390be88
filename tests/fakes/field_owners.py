"""Server-side apply: which manager owns which field, and what an apply does to an object."""

from __future__ import annotations

from typing import Any

from devstack.kube.client import Object

Path = tuple[str, ...]
BEFORE_FIRST_APPLY = "before-first-apply"
"""The manager to which a server gives the fields of an object that was never applied."""

_NOT_OWNED = frozenset(
    {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
)
_OF_THE_SERVER = frozenset(
    {"resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"}
)


def leaves(item: Any, path: Path = ()) -> dict[Path, Any]:
    """Return the values of an object by their paths; items of a list have their names in it."""
    if isinstance(item, dict) and item:
        inner = {(*path, key): value for key, value in item.items()}
    elif _is_named_list(item):
        inner = {(*path, f"[{each['name']}]"): each for each in item}
    else:
        return {path: item}
    found: dict[Path, Any] = {}
    for where, value in inner.items():
        found |= leaves(value, where)
    return found


def owned_fields(item: Object) -> dict[Path, Any]:
    """Return the fields that an apply of ``item`` takes into its manager's ownership."""
    return {
        path: value
        for path, value in leaves(item).items()
        if path not in _NOT_OWNED
        and path[0] != "status"
        and not (path[0] == "metadata" and path[1] in _OF_THE_SERVER)
    }


def conflicts(
    live: Object, owners: dict[str, set[Path]], manager: str, wanted: dict[Path, Any]
) -> dict[str, list[str]]:
    """Return the fields that other managers own with other values, by manager."""
    has = leaves(live)
    found: dict[str, list[str]] = {}
    for path, value in wanted.items():
        for other, fields in owners.items():
            if other != manager and path in fields and has.get(path) != value:
                found.setdefault(other, []).append("." + ".".join(path))
    return found


def merge(live: Any, applied: Any) -> Any:
    """Return ``live`` with the fields of ``applied``; lists of named items merge by name."""
    if isinstance(live, dict) and isinstance(applied, dict):
        merged = dict(live)
        for key, value in applied.items():
            merged[key] = merge(live.get(key), value)
        return merged
    if _is_named_list(live) and _is_named_list(applied):
        by_name = {each["name"]: each for each in live}
        new = [each for each in applied if each["name"] not in by_name]
        wanted = {each["name"]: each for each in applied}
        kept = [merge(each, wanted.get(each["name"], {})) for each in live]
        return [*kept, *new]
    return applied


def remove(item: Any, path: Path) -> Any:
    """Return ``item`` without the field at ``path``, and without a list item of which no more
    than its name is left."""
    key, rest = path[0], path[1:]
    if isinstance(item, list):
        kept = []
        for each in item:
            if f"[{each['name']}]" != key:
                kept.append(each)
            elif rest and set(left := remove(each, rest)) - {"name"}:
                kept.append(left)
        return kept
    if not isinstance(item, dict) or key not in item:
        return item
    if not rest:
        return {name: value for name, value in item.items() if name != key}
    return {**item, key: remove(item[key], rest)}


def _is_named_list(item: Any) -> bool:
    return (
        isinstance(item, list)
        and bool(item)
        and all(isinstance(each, dict) and "name" in each for each in item)
    )
