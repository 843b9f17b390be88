"""The one error type that a user of devstack sees.

It reads "cannot X: cause", followed by the end of the captured output and the
next step. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
from enum import IntEnum

TAIL_LINES = 15
"""How much of a captured output an error shows."""


class ExitStatus(IntEnum):
    """Exit statuses of the ``devstack`` command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    TIMEOUT = 4
    FLOW_FAILED = 5
    INTERRUPTED = 130


class DevstackError(Exception):
    """A request of the user cannot be fulfilled.

    Args:
        message: what cannot be done, starting with "cannot" or naming the fault.
        cause: why, in one sentence; empty if the message is enough.
        remedy: the next step for the user, preferably a command.
        code: a stable upper-case identifier, such as ``PORT_TAKEN``.
        exit_status: the exit status of the command.
        output: captured output of a tool; only its end is shown.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        remedy: str = "",
        code: str = "FAILED",
        exit_status: ExitStatus = ExitStatus.FAILED,
        output: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.remedy = remedy
        self.code = code
        self.exit_status = exit_status
        self.output = output

    def __str__(self) -> str:
        return f"{self.message}: {self.cause}" if self.cause else self.message

    @property
    def output_tail(self) -> list[str]:
        """The last non-empty lines of the captured output."""
        lines = [line.rstrip() for line in self.output.splitlines() if line.strip()]
        return lines[-TAIL_LINES:]


def disk_full(error: OSError) -> DevstackError | None:
    """Return the error for a full disk or quota; None if ``error`` is another one."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return DevstackError(
        f"cannot write {error.filename}" if error.filename else "cannot write",
        cause=os.strerror(error.errno),
        remedy="free disk space, or set DEVSTACK_HOME and DEVSTACK_CACHE to another disk",
        code="DISK_FULL",
        exit_status=ExitStatus.ENVIRONMENT,
    )
