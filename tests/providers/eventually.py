"""Waiting in tests: for a condition, with a deadline, naming what did not come."""

from __future__ import annotations

from collections.abc import Callable

from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until


def eventually(what: str, condition: Callable[[], bool], timeout: float = 60.0) -> None:
    """Wait until ``condition`` holds; ``what`` is named where it does not within ``timeout`` s."""

    def observe() -> Observation:
        return Ready() if condition() else Waiting("not yet")

    wait_until(observe, what=what, timeout=timeout, clock=SystemClock(), interval=0.1)
