"""The command line that starts a flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devstack.flows.arguments import FlowArguments, parse_arguments
from devstack.flows.source import FlowSource


def build_argv(python: Path, source: FlowSource, arguments: Sequence[str]) -> list[str]:
    """Return the command that starts a flow's file with the user's arguments only."""
    return [str(python), "-u", str(source.path), *parse_arguments(source, arguments).argv]


def build_command(
    python: Path,
    source: FlowSource,
    arguments: FlowArguments,
    *,
    identity: Path,
    decorators: Sequence[str] = (),
) -> list[str]:
    """Return the command that runs a flow.

    Args:
        python: the interpreter.
        source: the flow.
        arguments: the flow's parameters and Metaflow's own options.
        identity: the file to which Metaflow writes the run's flow and id, as JSON.
        decorators: decorators for every step that lacks them, as for ``--with``.
    """
    argv = [str(python), "-u", str(source.path), *arguments.argv]
    for each in decorators:
        argv += ["--with", each]
    return [*argv, "--runner-attribute-file", str(identity)]
