"""How long a command takes."""

from __future__ import annotations

import time

from tests.support.commandline import Devstack


def time_command(stack: Devstack, *argv: str) -> float:
    """Return the seconds that a command of ``devstack`` takes."""
    began = time.monotonic()
    stack.run(*argv, timeout=3600)
    return time.monotonic() - began
