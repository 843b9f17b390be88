"""Values of a flow's Parameters, as typed by the user for a run of its DAG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.deployers.airflow.parameters import convert_value, kind_of_schema
from devstack.errors import DevstackError, ExitStatus


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
    kinds = {name: kind_of_schema(each.get("schema") or {}) for name, each in declared.items()}
    return convert_parameters(kinds, values, usage)


def _convert(name: str, text: str, kinds: Mapping[str, str], usage: str) -> Any:
    if name not in kinds:
        names = ", ".join(sorted(kinds)) or "none"
        raise _invalid(name, f"the flow has no such parameter; it has {names}", usage)
    kind = kinds[name]
    if kind == "file":
        raise _invalid(
            name,
            "a pod cannot read this machine's files; the file is uploaded with the flow",
            "set it as the parameter's default, then devstack airflow deploy FLOW.py",
        )
    try:
        return convert_value(kind, text)
    except ValueError as error:
        raise _invalid(name, f"{text[:80]!r} is not of type {kind}: {error}", usage) from None


def _invalid(name: str, cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        f"invalid value for the parameter {name!r}",
        cause=cause,
        remedy=remedy,
        code="PARAMETER_WRONG",
        exit_status=ExitStatus.USAGE,
    )
