"""Waits for a condition, with a deadline and an error that names the cause."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from devstack import parallel
from devstack.errors import DevstackError, ExitStatus


class Clock(Protocol):
    """A clock, injected so that tests do not sleep."""

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
        parallel.sleep(seconds)


@dataclass(frozen=True)
class Ready:
    """The condition is met."""


@dataclass(frozen=True)
class Waiting:
    """The condition is not met yet.

    Attributes:
        reason: what is missing, in one sentence.
        output: details, such as a log's end.
    """

    reason: str
    output: str = ""


@dataclass(frozen=True)
class Failed:
    """The condition will never be met; waiting ends at once.

    Attributes:
        reason: why, in one sentence.
        remedy: the next step; empty for the wait's own.
        code: the error's code.
        output: details, such as a log's end.
    """

    reason: str
    remedy: str = ""
    code: str = "WAIT_FAILED"
    output: str = ""


Observation = Ready | Waiting | Failed


class WaitFailedError(DevstackError):
    """The condition will never be met.

    Attributes:
        observation: why.
    """

    def __init__(self, message: str, observation: Failed, remedy: str) -> None:
        super().__init__(
            message,
            cause=observation.reason,
            remedy=observation.remedy or remedy,
            code=observation.code,
            output=observation.output,
        )
        self.observation = observation


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
        observe: makes one observation.
        what: what is waited for, as SUBJECT to VERB: "MinIO to become ready".
        timeout: the longest wait in seconds.
        clock: measures the timeout.
        interval: seconds between two observations.
        note: called with each new reason for waiting.
        remedy: the next step if the wait times out.

    Raises:
        WaitFailedError: at the first :class:`Failed` observation, with its code.
        DevstackError: ``WAIT_TIMEOUT``, with the last reason.
    """
    deadline = clock.now() + timeout
    last = ""
    while True:
        observation = observe()
        if isinstance(observation, Ready):
            return
        if isinstance(observation, Failed):
            subject, _, verb = what.partition(" to ")
            raise WaitFailedError(f"{subject} will not {verb}", observation, remedy)
        if note and observation.reason != last:
            note(observation.reason)
        last = observation.reason
        if clock.now() >= deadline:
            raise DevstackError(
                f"timed out after {timeout:.0f} s waiting for {what}",
                cause=observation.reason,
                remedy=remedy,
                code="WAIT_TIMEOUT",
                exit_status=ExitStatus.TIMEOUT,
                output=observation.output,
            )
        clock.sleep(min(interval, max(0.0, deadline - clock.now())))
