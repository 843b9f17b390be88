"""Values of a flow's Parameters, as typed by the user for a run of its DAG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from devstack.deployers.airflow.parameters import kind_of_schema
from devstack.deployers.errors import parameter_wrong
from devstack.deployers.typed_values import convert_value

_CONTAINERS = {"array": list, "object": dict}
"""Types that only DAGs without Metaflow have, as JSON schema names them."""
_BY_DEFAULT = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
"""The kind of a parameter without a schema, by the type of its default; others are texts."""


def convert_parameters(
    kinds: Mapping[str, str], values: Mapping[str, str], usage: str
) -> dict[str, Any]:
    """Return values in the types of the flow's Parameters.

    Args:
        kinds: the kinds of the flow's Parameters by name.
        values: values by name, as typed by the user.
        usage: the command with which the user gives a value.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    return {name: _convert(name, text, kinds, usage) for name, text in values.items()}


def run_conf(details: Mapping[str, Any], values: Mapping[str, str], usage: str) -> dict[str, Any]:
    """Return the configuration of a run in the types of the DAG's parameters.

    Args:
        details: the DAG's details as Airflow returns them.
        values: values by name, as typed by the user.
        usage: the command with which the user gives a value.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    declared = details.get("params") or {}
    kinds = {name: _kind(each) for name, each in declared.items()}
    return convert_parameters(kinds, values, usage)


def _kind(declared: Mapping[str, Any]) -> str:
    """Return the kind of a DAG's parameter; it may have several types, or no schema."""
    schema = declared.get("schema") or {}
    types = schema.get("type") or []
    names = [types] if isinstance(types, str) else [each for each in types if each != "null"]
    if not names:
        return _BY_DEFAULT.get(type(declared.get("value")), "string")
    return names[0] if names[0] in _CONTAINERS else kind_of_schema({**schema, "type": names[0]})


def _json_value(kind: str, text: str) -> Any:
    value = json.loads(text)
    if not isinstance(value, _CONTAINERS[kind]):
        raise ValueError(f"it is JSON of another type, {type(value).__name__}")
    return value


def _convert(name: str, text: str, kinds: Mapping[str, str], usage: str) -> Any:
    if name not in kinds:
        names = ", ".join(sorted(kinds)) or "none"
        raise parameter_wrong(name, f"the flow has no such parameter; it has {names}", usage)
    kind = kinds[name]
    if kind == "file":
        raise parameter_wrong(
            name,
            "a pod cannot read this machine's files; the file is uploaded with the flow",
            "set it as the parameter's default, then devstack airflow deploy FLOW.py",
        )
    try:
        return _json_value(kind, text) if kind in _CONTAINERS else convert_value(kind, text)
    except ValueError as error:
        cause = f"{text[:80]!r} is not of type {kind}: {error}"
        raise parameter_wrong(name, cause, usage) from None
