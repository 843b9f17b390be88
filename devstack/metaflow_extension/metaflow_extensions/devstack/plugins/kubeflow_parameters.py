"""Types of a flow's Parameters as kfp knows them."""

from __future__ import annotations

from typing import Any

_TYPES = {
    "integer": int,
    "integer range": int,
    "float": float,
    "float range": float,
    "boolean": bool,
}
"""Python's types by the names of click's."""

_KNOWN = (int, float, bool, str)


def python_types(parameters: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parameters with Python's types instead of click's, which kfp refuses."""
    return {name: {**each, "type": _python_type(each["type"])} for name, each in parameters.items()}


def _python_type(kind: Any) -> type:
    if kind in _KNOWN:
        found: type = kind
        return found
    return _TYPES.get(str(getattr(kind, "name", "")), str)
