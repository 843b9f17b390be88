"""Start Metaflow's compiler for an engine, in a process of its own, and explain its failure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import devstack
from devstack.deployers.base import DeployOptions
from devstack.deployers.metaflow_process import REFUSED_STATUS
from devstack.deployers.unsupported import Violation, unsupported_error
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.failure import no_flow_error
from devstack.flows.source import FlowSource
from devstack.process import Completed

COMPILE_TIMEOUT = 300.0

_MESSAGE = re.compile(r"^ {4}\S")
"""Metaflow indents the message of an error by four spaces."""


def launcher(engine: str) -> str:
    """Return the program that imports the compiler of an engine, such as ``argo``.

    It does so from devstack's folder, which the user's interpreter does not have.
    """
    return f"""
import sys
sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)]
from devstack.deployers.{engine}.metaflow_compiler import main
main()
"""


def metaflow_argv(
    options: DeployOptions, python: Path, launch: str, report: Path, command: str
) -> list[str]:
    """Return the arguments of a compilation up to the name of the deployment.

    Args:
        options: the flow, and how to compile it.
        python: the interpreter, which has Metaflow.
        launch: what :func:`launcher` returned.
        report: the file with which the compiler answers.
        command: Metaflow's command for the engine, such as ``argo-workflows``.
    """
    root = Path(devstack.__file__).parent.parent
    argv = [str(python), "-c", launch, str(root), str(report), str(options.source.path)]
    # pylint takes seconds; `devstack run` runs it.
    argv += ["--no-pylint", *options.metaflow_options]
    argv += ["--branch", options.branch] if options.branch else []
    argv += ["--production"] if options.production else []
    return [*argv, command, *(["--name", options.name] if options.name else [])]


def refusal(engine: str, source: FlowSource, done: Completed, report: Path) -> DevstackError | None:
    """Return the error for what the hooks in Metaflow's process refused; None if nothing.

    Args:
        engine: its name in messages.
        source: the flow.
        done: Metaflow's process.
        report: the file with which the compiler answers.
    """
    if done.returncode != REFUSED_STATUS:
        return None
    reported = json.loads(report.read_text())
    if "error" in reported:
        return DevstackError(**reported["error"], exit_status=ExitStatus.USAGE)
    if "violations" in reported:
        violations = [Violation(**item) for item in reported["violations"]]
        return unsupported_error(engine, source.path, violations)
    # The flow itself exited with this status.
    return None


def compile_failed(source: FlowSource, done: Completed) -> DevstackError:
    """Return the error for a compilation without a result, with Metaflow's own message."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.ok:
        return no_flow_error(f"cannot deploy {source.path}", lines)
    return DevstackError(
        f"cannot compile {source.path}",
        cause=_last_message(lines) or f"Metaflow exited with status {done.returncode}",
        remedy="correct the flow as Metaflow's message says, then deploy it again",
        code="COMPILE_FAILED",
        exit_status=ExitStatus.USAGE,
        output="\n".join(lines),
    )


def _last_message(lines: Sequence[str]) -> str:
    return next((line.strip() for line in reversed(lines) if _MESSAGE.match(line)), "")
