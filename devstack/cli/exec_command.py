"""Becoming another program: kubectl, or the user's own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from devstack.errors import DevstackError, ExitStatus


def exec_command(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Become ``argv``, so that terminal, signals and exit status are all its own.

    A child would do, but for Ctrl-C: it reaches both, and devstack would be
    gone while a flow still cleans up.

    Args:
        argv: the program and its arguments.
        environment: its variables; our own where None.

    Raises:
        DevstackError: ``TOOL_MISSING`` or ``TOOL_UNUSABLE``.
    """
    sys.stdout.flush()
    # Python ignores it, and what is ignored stays so in the next program.
    ours = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], list(argv), dict(environment or os.environ))  # noqa: S606 - as asked
    except OSError as error:
        signal.signal(signal.SIGPIPE, ours)
        raise unusable(argv[0], error) from error


def unusable(program: str, error: OSError) -> DevstackError:
    """Return the error for a program of the user's that cannot be started."""
    missing = isinstance(error, FileNotFoundError)
    return DevstackError(
        f"cannot run {program!r}",
        cause="there is no such program on PATH" if missing else str(error.strerror),
        remedy="check its name, and that it is executable",
        code="TOOL_MISSING" if missing else "TOOL_UNUSABLE",
        exit_status=ExitStatus.USAGE,
    )
