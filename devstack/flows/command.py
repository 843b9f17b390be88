"""The command line that starts a flow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from devstack.flows.source import FlowSource

_COMMANDS = ("run", "resume")
_WITH_PLATFORM = ("kubernetes", "batch")


def build_command(
    python: Path, source: FlowSource, arguments: Sequence[str], *, identity: Path, local: bool
) -> list[str]:
    """Return the command that runs a flow.

    Args:
        python: the interpreter.
        source: the flow.
        arguments: the flow's parameters and Metaflow's own options; if the first
            is ``resume``, the last run is resumed.
        identity: the file to which Metaflow writes the run's flow and id, as JSON.
        local: True to run steps that name no platform on this machine.
    """
    command, rest = "run", list(arguments)
    if rest and rest[0] in _COMMANDS:
        command, rest = rest[0], rest[1:]
    argv = [str(python), "-u", str(source.path), command, *rest]
    if not local and not source.names_platform and not _names_platform(rest):
        argv += ["--with", "kubernetes"]
    return [*argv, "--runner-attribute-file", str(identity)]


def _names_platform(arguments: Sequence[str]) -> bool:
    specs = [value for option, value in pairwise(arguments) if option == "--with"]
    specs += [each.removeprefix("--with=") for each in arguments if each.startswith("--with=")]
    return any(spec.split(":")[0] in _WITH_PLATFORM for spec in specs)
