"""Wait for a condition with a deadline."""

from __future__ import annotations

from collections.abc import Callable

from devstack.errors import DevstackError
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.support.machine_speed import slowness


def eventually(
    what: str, condition: Callable[[], object], timeout: float = 60.0, interval: float = 0.3
) -> None:
    """Wait until ``condition`` holds.

    Args:
        what: the condition, as the failure names it.
        condition: evaluated every ``interval`` seconds; it takes CPU from the stack.
        timeout: in seconds, on the machine of the budgets; a slower one gets more.
        interval: in seconds.
    """

    def observe() -> Observation:
        return Ready() if condition() else Waiting("not yet")

    def wait(seconds: float) -> None:
        wait_until(observe, what=what, timeout=seconds, clock=SystemClock(), interval=interval)

    try:
        wait(timeout)
    except DevstackError:
        # Measured only now: it takes a second.
        more = timeout * (slowness() - 1)
        if more <= 0:
            raise
        wait(more)
