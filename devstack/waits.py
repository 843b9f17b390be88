"""Waiting for a condition: always with a deadline, always naming the culprit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from devstack.errors import DevstackError, ExitStatus


class Clock(Protocol):
    """Tells the time and sleeps; passed in so that tests take no time."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``."""
        ...


class SystemClock:
    """The real :class:`Clock`."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Ready:
    """The condition holds."""


@dataclass(frozen=True)
class Waiting:
    """Not yet; ``reason`` says what is being waited for, ``output`` shows more."""

    reason: str
    output: str = ""


@dataclass(frozen=True)
class Failed:
    """It will never hold, however long one waits; fail at once."""

    reason: str
    remedy: str = ""
    code: str = "WAIT_FAILED"
    output: str = ""


Observation = Ready | Waiting | Failed


def wait_until(
    observe: Callable[[], Observation],
    *,
    what: str,
    timeout: float,
    clock: Clock,
    interval: float = 0.2,
    note: Callable[[str], None] | None = None,
    remedy: str = "run `devstack status` and `devstack logs`, or wait longer with --timeout",
) -> None:
    """Wait until ``observe`` returns :class:`Ready`.

    Args:
        observe: looks at the world once.
        what: the thing waited for, as the error names it ("MinIO to be ready").
        timeout: seconds to wait at the most.
        clock: tells the time.
        interval: seconds between two looks.
        note: told the reason each time that it changes.
        remedy: the next step where time runs out.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` with the last reason seen, or the code
            of the :class:`Failed` observation.
    """
    deadline = clock.now() + timeout
    last = ""
    while True:
        seen = observe()
        if isinstance(seen, Ready):
            return
        if isinstance(seen, Failed):
            raise DevstackError(
                f"cannot wait for {what}",
                cause=seen.reason,
                remedy=seen.remedy or remedy,
                code=seen.code,
                output=seen.output,
            )
        if note and seen.reason != last:
            note(seen.reason)
        last = seen.reason
        if clock.now() >= deadline:
            raise DevstackError(
                f"gave up waiting for {what} after {timeout:.0f} s",
                cause=seen.reason,
                remedy=remedy,
                code="WAIT_TIMEOUT",
                exit_status=ExitStatus.TIMEOUT,
                output=seen.output,
            )
        clock.sleep(min(interval, max(0.0, deadline - clock.now())))
