"""The command line that starts a flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devstack.flows.arguments import FlowArguments, parse_arguments
from devstack.flows.source import FlowSource

_WITH_PLATFORM = ("kubernetes", "batch")


def build_argv(python: Path, source: FlowSource, arguments: Sequence[str]) -> list[str]:
    """Return the command that starts a flow's file with the user's arguments only."""
    return [str(python), "-u", str(source.path), *parse_arguments(source, arguments).argv]


def build_command(
    python: Path, source: FlowSource, arguments: Sequence[str], *, identity: Path, local: bool
) -> list[str]:
    """Return the command that runs a flow.

    Args:
        python: the interpreter.
        source: the flow.
        arguments: the flow's parameters and Metaflow's own options, with or without
            Metaflow's command: ``run`` or ``resume``.
        identity: the file to which Metaflow writes the run's flow and id, as JSON.
        local: True to run steps that name no platform on this machine.
    """
    parsed = parse_arguments(source, arguments)
    argv = build_argv(python, source, arguments)
    if not local and not source.names_platform and not names_platform(parsed):
        argv += ["--with", "kubernetes"]
    return [*argv, "--runner-attribute-file", str(identity)]


def names_platform(arguments: FlowArguments) -> bool:
    """Return True if an option ``--with`` names a platform."""
    specs = [value for _option, value in arguments.values_of("--with")]
    return any(spec.split(":")[0] in _WITH_PLATFORM for spec in specs)
