"""Values of a flow's Parameters in their types, from defaults or as typed by the user."""

from __future__ import annotations

import json
import math
from typing import Any

from devstack.deployers.pod_texts import text_problem

_TRUE = ("true", "t", "1", "yes", "y")
_FALSE = ("false", "f", "0", "no", "n")
"""The words of Metaflow's command line for a bool."""


def convert_value(kind: str, value: Any) -> Any:
    """Return a value of the parameter's type; that of JSON is its text.

    Args:
        kind: string, integer, number, boolean, json or file.
        value: a default, or what the user typed.

    Raises:
        ValueError: it is not of this type, or cannot reach a pod.
    """
    converted = _convert(kind, value)
    if problem := text_problem(str(converted)):
        raise ValueError(problem)
    return converted


def _convert(kind: str, value: Any) -> Any:
    if kind == "integer":
        return int(value)
    if kind == "number":
        return _finite(float(value))
    if kind == "boolean":
        return _boolean(value)
    if kind == "json":
        return _json(value)
    if not isinstance(value, (str, int, float, bool)):
        raise ValueError(f"a value of type {type(value).__name__}")
    return str(value)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    return number


def _boolean(value: Any) -> bool:
    word = str(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(f"neither {', '.join(_TRUE)} nor {', '.join(_FALSE)}")
    return word in _TRUE


def _json(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    json.loads(value)
    return value
