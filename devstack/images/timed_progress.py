"""TimedProgress: passes the steps of a build on, and records how long each one took."""

from __future__ import annotations

import time
from dataclasses import dataclass

from devstack.progress import Progress


@dataclass(frozen=True)
class StepTime:
    """A finished step.

    Attributes:
        title: the step.
        start: seconds between the start of the build and the start of the step.
        seconds: how long the step took.
    """

    title: str
    start: float
    seconds: float


class TimedProgress:
    """A :class:`Progress` that records times; its branches record into the same list.

    Args:
        progress: displays the steps.

    Attributes:
        times: the finished steps of all branches.
    """

    def __init__(self, progress: Progress) -> None:
        self.times: list[StepTime] = []
        self._progress = progress
        self._build_began = time.monotonic()
        self._steps_began: list[float] = []

    def start(self, title: str) -> None:
        """Begin a step."""
        self._steps_began.append(time.monotonic())
        self._progress.start(title)

    def note(self, text: str) -> None:
        """Pass the note on."""
        self._progress.note(text)

    def line(self, text: str) -> None:
        """Pass the line on."""
        self._progress.line(text)

    def done(self, title: str, state: str = "done") -> None:
        """End the innermost step and record its time."""
        began = self._steps_began.pop()
        seconds = time.monotonic() - began
        self.times.append(StepTime(title, began - self._build_began, seconds))
        self._progress.done(title, state)

    def warn(self, text: str) -> None:
        """Pass the warning on."""
        self._progress.warn(text)

    def branch(self, title: str) -> TimedProgress:
        """Return the progress of parallel work, whose times are recorded here too."""
        branch = TimedProgress(self._progress.branch(title))
        branch.times, branch._build_began = self.times, self._build_began
        return branch
