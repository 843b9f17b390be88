"""How fast this machine is, and how many minutes the unit tests take on it.

Machines with the same number of cores differ by a factor of four (docs/adr/0030-ci-time.md), so
CI asks before it starts the unit tests on another version of Python, and waits of tests are longer
on a slower one.
``python -m tests.support.machine_speed`` prints the minutes for one version of Python.
"""

from __future__ import annotations

import sys
import time
from functools import cache

REFERENCE_SECONDS = 0.25
"""The time of :func:`loop_seconds` on the machine on which the tests were timed."""

REFERENCE_UNIT_MINUTES = 2
"""The minutes that the unit tests took on that machine, on one version of Python."""

ATTEMPTS = 3


def loop_seconds() -> float:
    """Return the seconds that a fixed piece of work takes, the shortest of some attempts."""
    seconds = []
    for _ in range(ATTEMPTS):
        started = time.perf_counter()
        sum(number * number for number in range(3_000_000))
        seconds.append(time.perf_counter() - started)
    return min(seconds)


@cache
def slowness() -> float:
    """Return how many times slower this machine is than the one of the figures; at least 1."""
    return max(1.0, loop_seconds() / REFERENCE_SECONDS)


def minutes_needed(seconds: float) -> int:
    """Return the minutes for the unit tests where the fixed work takes ``seconds``.

    A machine that does it faster gets no shorter estimate: tests also wait for memory and disks.

    Args:
        seconds: what :func:`loop_seconds` returned.
    """
    return round(REFERENCE_UNIT_MINUTES * max(1.0, seconds / REFERENCE_SECONDS))


if __name__ == "__main__":
    sys.stdout.write(f"{minutes_needed(loop_seconds())}\n")
