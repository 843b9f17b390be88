"""The environment variables that could redirect or break what devstack runs.

One table, read from the sources of the pinned versions, decides for each of them
whether programs see the user's value. ``docs/environment.md`` is generated from it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

from devstack.environment_variables.amazon import AMAZON
from devstack.environment_variables.metaflow import METAFLOW
from devstack.environment_variables.tools import TOOLS
from devstack.environment_variables.variable import Policy, Variable

VARIABLES: tuple[Variable, ...] = (*METAFLOW, *AMAZON, *TOOLS)

STACK_PROGRAMS = frozenset({"Metaflow", "boto3", "Kubernetes clients", "kfp", "Python"})
"""Programs that are used with a stack: in `devstack shell`, and in flows."""
FLOW_PROGRAMS = STACK_PROGRAMS | {"pip", "uv"}
"""Programs that run in a flow's process: `@pypi` and `--environment=uv` start pip and uv."""
TOOL_PROGRAMS = frozenset(
    {"kind", "Docker", "Podman", "kubectl", "pip", "uv", "Go", "bash", "Python"}
)
"""Programs that devstack starts itself."""

_EXACT = {each.name: each for each in VARIABLES if not each.is_prefix}
_PREFIXES = sorted((each for each in VARIABLES if each.is_prefix), key=lambda each: -len(each.name))


def classify(name: str) -> Variable | None:
    """Return the row of a variable: its own, or that of the longest prefix."""
    if name in _EXACT:
        return _EXACT[name]
    return next((each for each in _PREFIXES if each.matches(name)), None)


def overridden(names: Iterable[str], programs: Collection[str]) -> list[str]:
    """Return those of ``names`` that one of ``programs`` reads and that are overridden, sorted."""
    return sorted(
        name
        for name in names
        if (row := classify(name)) and row.program in programs and row.policy is Policy.OVERRIDDEN
    )


def rows_by_precedence(programs: Collection[str]) -> list[Variable]:
    """Return the rows of ``programs``: the first that matches a name decides."""
    rows = [*_EXACT.values(), *_PREFIXES]
    return [each for each in rows if each.program in programs]


def always_overridden(program: str) -> list[str]:
    """Return all overridden variables of ``program`` that are known by name, in table order."""
    return [
        each.name
        for each in VARIABLES
        if each.program == program and each.policy is Policy.OVERRIDDEN and not each.is_prefix
    ]


def tool_environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return the environment of a program that devstack starts.

    Args:
        changes: variables on top of this process's own; None unsets a variable. They
            have precedence over the table.
    """
    environment = dict(os.environ)
    for name in overridden(environment, TOOL_PROGRAMS):
        row = classify(name)
        replacement = row.value if row else None
        if replacement is None:
            del environment[name]
        else:
            environment[name] = replacement
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment
