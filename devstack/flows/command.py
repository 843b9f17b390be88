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
    """Return the words that run a flow.

    Args:
        python: the interpreter.
        source: the flow.
        arguments: what the user wrote behind ``--``: the flow's parameters and
            Metaflow's own options; ``resume`` in front resumes the last run.
        identity: Metaflow writes the run's flow and id there, as JSON.
        local: True to leave steps on this machine that do not name a platform.
    """
    command, rest = "run", list(arguments)
    if rest and rest[0] in _COMMANDS:
        command, rest = rest[0], rest[1:]
    words = [str(python), "-u", str(source.path), command, *rest]
    if not local and not source.names_platform and not _names_platform(rest):
        words += ["--with", "kubernetes"]
    return [*words, "--runner-attribute-file", str(identity)]


def _names_platform(arguments: Sequence[str]) -> bool:
    specs = [after for word, after in pairwise(arguments) if word == "--with"]
    specs += [word.removeprefix("--with=") for word in arguments if word.startswith("--with=")]
    return any(spec.split(":")[0] in _WITH_PLATFORM for spec in specs)
