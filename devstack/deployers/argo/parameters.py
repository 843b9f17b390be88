"""Values of a flow's Parameters, as a workflow gets them.

Metaflow writes each value as JSON in double quotes into a shell script, which the first pod of a
run sources: the shell expands dollar signs and backquotes and takes two backslashes for one, while
other escapes of JSON, such as those of newlines and of characters beyond ASCII, stay as they are.
What would not arrive exactly is refused.  This module is imported in the user's Python.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from devstack.errors import DevstackError, ExitStatus

_EXACT = re.compile(r"[ !#%-\[\]-_a-~\"]*")
"""Printable ASCII without ``$``, backquotes and backslashes."""

_TRUE = ("true", "t", "1", "yes", "y")
_FALSE = ("false", "f", "0", "no", "n")
"""The words of Metaflow's command line for a bool."""


def encode_parameters(
    types: Mapping[str, str], values: Mapping[str, str], usage: str
) -> dict[str, str]:
    """Return values as the parameters of a workflow.

    Args:
        types: Metaflow's types of the flow's Parameters by name.
        values: values by name, as typed by the user.
        usage: the command with which the user gives a value.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    return {name: _encode(name, text, types, usage) for name, text in values.items()}


def encode_value(kind: str, value: Any) -> str:
    """Return a value as JSON.

    Args:
        kind: Metaflow's type: int, float, bool, JSON or str.
        value: a default, or what the user typed.

    Raises:
        ValueError: it is not of this type, or would not arrive exactly.
    """
    converted = _convert(kind, value)
    if problem := _problem(str(converted)):
        raise ValueError(problem)
    return json.dumps(converted)


def _convert(kind: str, value: Any) -> Any:
    if kind == "int":
        return int(value)
    if kind == "float":
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("JSON has no such number")
        return number
    if kind == "bool":
        word = str(value).lower()
        if word not in _TRUE + _FALSE:
            raise ValueError(f"neither {', '.join(_TRUE)} nor {', '.join(_FALSE)}")
        return word in _TRUE
    if kind == "JSON":
        text = value if isinstance(value, str) else json.dumps(value)
        json.loads(text)
        return text
    return str(value)


def _problem(text: str) -> str:
    """Return why a text would not arrive exactly; empty if it would."""
    if "{{" in text:
        return "Argo takes {{ for a template of its own"
    match = _EXACT.match(text)
    rest = text[match.end() if match else 0 :]
    if rest:
        return f"Metaflow does not pass the character {rest[0]!r} to a pod of Argo unchanged"
    return ""


def _encode(name: str, text: str, types: Mapping[str, str], usage: str) -> str:
    if name not in types:
        names = ", ".join(sorted(types)) or "none"
        raise _wrong(name, f"the flow has no such parameter; it has {names}", usage)
    if types[name] == "FilePath":
        raise _wrong(
            name,
            "a pod cannot read this machine's files; the file is uploaded with the flow",
            "set it as the parameter's default, then devstack argo deploy FLOW.py",
        )
    try:
        return encode_value(types[name], text)
    except ValueError as error:
        cause = f"{text[:80]!r} cannot be a value of type {types[name]}: {error}"
        raise _wrong(name, cause, usage) from None


def _wrong(name: str, cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        f"invalid value for the parameter {name!r}",
        cause=cause,
        remedy=remedy,
        code="PARAMETER_WRONG",
        exit_status=ExitStatus.USAGE,
    )
