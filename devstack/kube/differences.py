"""Whether a live object has all fields of a manifest.

The comparison follows server-side apply: fields that the manifest does not name belong
to others and are ignored; lists of named entries are matched by name, so an entry that
another manager added is no difference either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack import quantity

_OF_LIMIT_RANGES = frozenset({"default", "defaultRequest", "max", "min", "maxLimitRequestRatio"})
_QUANTITIES = frozenset({"requests", "limits", "capacity", "hard"}) | _OF_LIMIT_RANGES
"""Fields whose values the server may write in another form: 0.5 becomes 500m."""


def differs(desired: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    """Return the path of the first field of ``desired`` that is missing or differs in ``live``.

    Args:
        desired: a manifest.
        live: the object as the API has it.

    Returns:
        Such as ``spec.replicas``; empty if nothing differs.
    """
    return _in_mapping(desired, live, "")


def _in_mapping(desired: Mapping[str, Any], live: Mapping[str, Any], path: str) -> str:
    for key, wanted in desired.items():
        field = f"{path}.{key}" if path else key
        if wanted is None:
            continue
        if key not in live:
            return field
        if found := _in_value(wanted, live[key], field, in_quantities=key in _QUANTITIES):
            return found
    return ""


def _in_value(wanted: Any, has: Any, path: str, *, in_quantities: bool = False) -> str:
    if isinstance(wanted, Mapping):
        if not isinstance(has, Mapping):
            return path
        return (
            _in_quantities(wanted, has, path) if in_quantities else _in_mapping(wanted, has, path)
        )
    if isinstance(wanted, list):
        return _in_list(wanted, has, path) if isinstance(has, list) else path
    return "" if wanted == has else path


def _in_quantities(wanted: Mapping[str, Any], has: Mapping[str, Any], path: str) -> str:
    for key, value in wanted.items():
        amount = quantity.parse(value)
        if key not in has:
            return f"{path}.{key}"
        if amount is not None and amount == quantity.parse(has[key]):
            continue
        # Not a quantity: other kinds have fields of the same names.
        if found := _in_value(value, has[key], f"{path}.{key}"):
            return found
    return ""


def _in_list(wanted: list[Any], has: list[Any], path: str) -> str:
    if all(isinstance(item, Mapping) and "name" in item for item in (*wanted, *has)):
        return _in_named(wanted, {item["name"]: item for item in has}, path)
    if len(wanted) != len(has):
        return path
    for index, (item, live) in enumerate(zip(wanted, has, strict=True)):
        if found := _in_value(item, live, f"{path}[{index}]"):
            return found
    return ""


def _in_named(wanted: list[Any], has: Mapping[str, Any], path: str) -> str:
    for item in wanted:
        field = f"{path}[{item['name']}]"
        if item["name"] not in has:
            return field
        if found := _in_mapping(item, has[item["name"]], field):
            return found
    return ""
