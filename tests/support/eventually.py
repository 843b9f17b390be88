"""Waiting in tests: for a condition, with a deadline, naming what did not come."""

from __future__ import annotations

from collections.abc import Callable

from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until


def eventually(
    what: str, condition: Callable[[], bool], timeout: float = 60.0, interval: float = 0.3
) -> None:
    """Wait until ``condition`` holds.

    Args:
        what: named where it does not hold in time.
        condition: looked at every ``interval`` seconds; what it costs, the stack lacks.
        timeout: seconds.
        interval: seconds.
    """

    def observe() -> Observation:
        return Ready() if condition() else Waiting("not yet")

    wait_until(observe, what=what, timeout=timeout, clock=SystemClock(), interval=interval)
