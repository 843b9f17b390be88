"""How many minutes tests take on this machine, estimated from its speed.

Machines with the same number of cores differ by a factor of four (docs/adr/0030-ci-time.md), so
CI asks before it starts tests that it could not end within its time limit, and waits of tests are
longer on a slower one.
``python -m tests.support.machine_speed`` prints the number for all tests with clusters, with
``--unit`` that for the unit tests on one version of Python.
"""

from __future__ import annotations

import sys
import time
from functools import cache

REFERENCE_SECONDS = 0.25
"""The time of :func:`loop_seconds` on the machine on which the tests were timed."""

REFERENCE_MINUTES = 100
"""The minutes that all tests with clusters took on that machine."""

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


def minutes_needed(seconds: float, reference_minutes: int = REFERENCE_MINUTES) -> int:
    """Return the minutes for tests where the fixed work takes ``seconds``.

    A machine that does it faster gets no shorter estimate: tests with clusters also wait for
    memory, for disks and for the intervals of controllers.

    Args:
        seconds: what :func:`loop_seconds` returned.
        reference_minutes: the minutes that the tests take on the machine of the figures.
    """
    return round(reference_minutes * max(1.0, seconds / REFERENCE_SECONDS))


if __name__ == "__main__":
    reference = REFERENCE_UNIT_MINUTES if sys.argv[1:] == ["--unit"] else REFERENCE_MINUTES
    sys.stdout.write(f"{minutes_needed(loop_seconds(), reference)}\n")
