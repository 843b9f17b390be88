"""Values of a flow's Parameters, as a workflow gets them.

A workflow has each value as JSON. The first pod of a run gets them in base64, and turns them into
variables of its shell. The script that Metaflow writes for that puts the JSON in double quotes:
the shell expands dollar signs and backquotes and takes two backslashes for one, while other
escapes of JSON, such as those of newlines and of characters beyond ASCII, stay as they are. What
`devstack argo deploy` compiles has another script (:mod:`devstack.deployers.argo.scripts`), with
which any text arrives exactly. This module is imported in the user's Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from devstack.deployers.errors import parameter_wrong
from devstack.deployers.typed_values import convert_value

KINDS = {"int": "integer", "float": "number", "bool": "boolean", "JSON": "json"}
"""Kinds of parameters by Metaflow's types; the others are texts."""

EXACT = "devstack.dev/exact-parameters"
"""The annotation of a template whose first pod gets any text of a Parameter exactly."""

MAX_BYTES = 75_000
"""The limit for the values of a run together: in base64 they are part of one argument of a
process, which may have 128 KiB (Linux, MAX_ARG_STRLEN)."""

_SAFE = re.compile(r"[ !#%-\[\]-_a-~\"]*")
"""Printable ASCII without ``$``, backquotes and backslashes."""


def encode_parameters(
    types: Mapping[str, str],
    values: Mapping[str, str],
    usage: str,
    *,
    exact: bool = True,
    defaults: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return values as the parameters of a workflow.

    Args:
        types: Metaflow's types of the flow's Parameters by name.
        values: values by name, as typed by the user.
        usage: the command with which the user gives a value.
        exact: False if the script of the first pod is Metaflow's own.
        defaults: the values, as JSON, of those that the user does not give.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    encoded = {name: _encode(name, text, types, usage, exact) for name, text in values.items()}
    if problem := size_problem({**(defaults or {}), **encoded}):
        remedy = "pass large data as a file: IncludeFile, or S3"
        raise parameter_wrong(", ".join(encoded), problem, remedy)
    return encoded


def encode_value(kind: str, value: Any, *, exact: bool = True) -> str:
    """Return a value as JSON.

    Args:
        kind: Metaflow's type: int, float, bool, JSON or str.
        value: a default, or what the user typed.
        exact: False if the script of the first pod is Metaflow's own.

    Raises:
        ValueError: it is not of this type, or would not arrive exactly.
    """
    converted = convert_value(KINDS.get(kind, "string"), value)
    if not exact and (rest := _SAFE.sub("", str(converted), count=1)):
        raise ValueError(
            f"Metaflow does not pass the character {rest[0]!r} to a pod of Argo unchanged; "
            "what `devstack argo deploy` deploys gets any text"
        )
    return without_tags(json.dumps(converted))


def without_tags(text: str) -> str:
    """Return JSON in which Argo finds no template: of two braces, one is an escape sequence."""
    return re.sub(r"(?<=\{)\{", r"\\u007b", text)


def size_problem(values: Mapping[str, str]) -> str:
    """Return why values in JSON are too large together; empty if they are not."""
    size = sum(len(value.encode()) for value in values.values())
    if size <= MAX_BYTES:
        return ""
    return f"the Parameters have {size} bytes in JSON together; a run can get {MAX_BYTES}"


def _encode(name: str, text: str, types: Mapping[str, str], usage: str, exact: bool) -> str:
    if name not in types:
        names = ", ".join(sorted(types)) or "none"
        raise parameter_wrong(name, f"the flow has no such parameter; it has {names}", usage)
    if types[name] == "FilePath":
        raise parameter_wrong(
            name,
            "a pod cannot read this machine's files; the file is uploaded with the flow",
            "set it as the parameter's default, then devstack argo deploy FLOW.py",
        )
    try:
        return encode_value(types[name], text, exact=exact)
    except ValueError as error:
        cause = f"{text[:80]!r} cannot be a value of type {types[name]}: {error}"
        raise parameter_wrong(name, cause, usage) from None
