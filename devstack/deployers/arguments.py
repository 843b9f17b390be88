"""The arguments after ``--`` of a command that deploys a flow, sorted by where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.arguments import parse_arguments
from devstack.flows.metaflow_options import RUN_OPTIONS
from devstack.flows.source import FlowSource

_CREATE_OPTIONS = ("--tag", "--namespace", "--max-workers")
"""Options of ``run`` that Metaflow's ``create`` commands have too."""


@dataclass
class DeployArguments:
    """The user's arguments.

    Attributes:
        metaflow: options of Metaflow itself, which precede the engine's name.
        create: options of Metaflow's ``create`` command.
        parameters: values of the flow's parameters by name.
    """

    metaflow: list[str] = field(default_factory=list)
    create: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)


def sort_arguments(source: FlowSource, arguments: Sequence[str]) -> DeployArguments:
    """Sort the arguments of a flow that is deployed.

    Args:
        source: the flow.
        arguments: what the user typed after ``--``, as for ``devstack run``.

    Raises:
        DevstackError: ``USAGE``: an argument has no meaning for a deployed flow.
    """
    parsed = parse_arguments(source, arguments)
    if not parsed.starts_run or parsed.command != "run":
        refused = "--help" if parsed.command == "run" else parsed.command
        raise _error(refused, "only a run can be deployed")
    found = DeployArguments(list(parsed.top_level))
    for group in parsed.rest_groups:
        _add(found, group)
    return found


def _add(found: DeployArguments, group: Sequence[str]) -> None:
    option, equals, value = group[0].partition("=")
    if not option.startswith("--") or not (equals or group[1:]):
        raise _error(group[0], "only --NAME VALUE is possible after `--`")
    if option in _CREATE_OPTIONS:
        found.create += group
    elif option == "--with":
        found.metaflow += group
    elif option in RUN_OPTIONS:
        raise _error(option, "a deployed flow has no such option")
    else:
        found.parameters[option.removeprefix("--")] = value if equals else group[1]


def _error(argument: str, cause: str) -> DevstackError:
    return DevstackError(
        f"cannot use {argument!r} for a deployed flow",
        cause=cause,
        remedy="omit it; parameters are --NAME VALUE",
        code="USAGE",
        exit_status=ExitStatus.USAGE,
    )
