"""Replace the devstack process with another program: kubectl, or the user's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from devstack.cli.output import Output
from devstack.cli.signals import inherited_signals
from devstack.errors import DevstackError, ExitStatus


def exec_command(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process with ``argv``, which then owns terminal, signals and exit status.

    With a child process, Ctrl-C would reach both, and devstack would exit while a
    flow still cleans up.

    Args:
        argv: the program and its arguments.
        environment: its variables; those of this process if None.

    Raises:
        DevstackError: ``TOOL_MISSING`` or ``TOOL_UNUSABLE``.
    """
    sys.stdout.flush()
    ours = {each: signal.signal(each, wanted) for each, wanted in inherited_signals().items()}
    try:
        os.execvpe(argv[0], list(argv), dict(environment or os.environ))  # noqa: S606 - the user's command
    except OSError as error:
        for each, handler in ours.items():
            signal.signal(each, handler)
        raise unusable(argv[0], error) from error


def capture_command(output: Output, argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program and put its output into the envelope; stop it if devstack is interrupted.

    Args:
        output: prints the envelope.
        argv: the program and its arguments.
        environment: its variables.

    Returns:
        Its exit status.

    Raises:
        DevstackError: ``TOOL_MISSING`` or ``TOOL_UNUSABLE``.
    """
    from devstack.flows.flow_process import interrupt_group

    try:
        process = subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise unusable(argv[0], error) from error
    try:
        stdout, stderr = process.communicate()
    except BaseException:
        interrupt_group(process)
        raise
    output.data(
        returncode=process.returncode,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
    )
    output.finish()
    return process.returncode


def unusable(program: str, error: OSError) -> DevstackError:
    """Return the error for a program that the user named and that cannot be started."""
    missing = isinstance(error, FileNotFoundError)
    return DevstackError(
        f"cannot run {program!r}",
        cause="no such program on PATH" if missing else str(error.strerror),
        remedy="check its name, and that it is executable",
        code="TOOL_MISSING" if missing else "TOOL_UNUSABLE",
        exit_status=ExitStatus.USAGE,
    )
