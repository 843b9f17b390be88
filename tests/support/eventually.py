"""Wait for a condition with a deadline."""

from __future__ import annotations

from collections.abc import Callable

from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until


def eventually(
    what: str, condition: Callable[[], object], timeout: float = 60.0, interval: float = 0.3
) -> None:
    """Wait until ``condition`` holds.

    Args:
        what: the condition, as the failure names it.
        condition: evaluated every ``interval`` seconds; it takes CPU from the stack.
        timeout: in seconds.
        interval: in seconds.
    """

    def observe() -> Observation:
        return Ready() if condition() else Waiting("not yet")

    wait_until(observe, what=what, timeout=timeout, clock=SystemClock(), interval=interval)
