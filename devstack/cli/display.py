"""Choose how progress is displayed: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import NamedTuple, Protocol, TextIO

from devstack.progress import Progress, Silent

MARKS = {"done": "✓", "unchanged": "=", "skipped": "-", "failed": "✗"}
TITLE_WIDTH = 46

NOTE_INTERVAL = 10.0
"""Seconds between two notes of a step in a plain display."""


class Display(Progress, Protocol):
    """Progress that is displayed."""

    def close(self) -> None:
        """Remove what is not meant to stay on the terminal."""
        ...


def choose_display(*, as_json: bool, verbose: bool) -> Display:
    """Return the display for a command.

    Args:
        as_json: True for no display.
        verbose: True to print every note, and every line of flows that run in parallel.
    """
    if as_json:
        return Silent()
    if verbose or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainDisplay(verbose=verbose)
    # rich takes 0.03 s to import.
    from devstack.cli.live_display import LiveDisplay

    return LiveDisplay()


class RunningStep(NamedTuple):
    """A step that has begun: its title, and when, in monotonic seconds."""

    title: str
    began: float


class StepStack:
    """The steps that are running, each within the one before."""

    def __init__(self) -> None:
        self._steps: list[RunningStep] = []

    @property
    def innermost(self) -> RunningStep | None:
        """The step that began last; None if no step is running."""
        return self._steps[-1] if self._steps else None

    def begin(self, title: str) -> None:
        """Add a step."""
        self._steps.append(RunningStep(title, time.monotonic()))

    def end(self, title: str, state: str) -> str:
        """Remove the innermost step; return the line that reports its end."""
        began = self._steps.pop().began if self._steps else time.monotonic()
        indent = "  " * len(self._steps)
        ending = "" if state == "done" else f"  {state}"
        width = TITLE_WIDTH - len(indent)
        seconds = time.monotonic() - began
        return f"  {indent}{MARKS[state]} {title:<{width}} {seconds:6.1f} s{ending}"


class PlainDisplay:
    """Lines for logs and CI: one when a step ends, and notes of slow steps at intervals.

    Args:
        verbose: print every note, and every line of a branch.
        branch_title: what runs in parallel to others; empty for the command itself.
    """

    def __init__(self, *, verbose: bool = False, branch_title: str = "") -> None:
        self._verbose = verbose
        self._branch_title = branch_title
        self._steps = StepStack()
        self._printed_at = time.monotonic()
        self._last_note = ""

    def start(self, title: str) -> None:
        """Begin a step; only a branch prints its start, because other branches print in between."""
        self._steps.begin(title)
        self._printed_at = time.monotonic()
        if self._branch_title:
            _print(f"  > {title}")

    def note(self, text: str) -> None:
        """Print the note if it is new, and the step's last line was some time ago."""
        now, step = time.monotonic(), self._steps.innermost
        if step is None:
            if text != self._last_note:
                _print(f"    {text}")
        elif self._verbose or now - self._printed_at >= NOTE_INTERVAL:
            self._printed_at = now
            _print(f"    {step.title}: {text} ({now - step.began:.0f} s)")
        self._last_note = text

    def line(self, text: str) -> None:
        """Print the line to standard output; one of a branch to standard error, if verbose."""
        if not self._branch_title:
            write_line(sys.stdout, text)
        elif self._verbose:
            _print(f"    {self._branch_title}: {text}")

    def done(self, title: str, state: str = "done") -> None:
        """Print the step with its state and time."""
        _print(self._steps.end(title, state))

    def warn(self, text: str) -> None:
        """Print the warning."""
        _print(f"  ! {text}")

    def branch(self, title: str) -> PlainDisplay:
        """Return a display whose lines name the branch."""
        return PlainDisplay(verbose=self._verbose, branch_title=title)

    def close(self) -> None:
        """Do nothing: all lines stay."""


def _print(text: str) -> None:
    write_line(sys.stderr, text)


def write_line(stream: TextIO, text: str) -> None:
    """Print a line; if the reader has exited (``| head``), discard it and all that follow.

    So the command completes: a run is not left half done.
    """
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        discard_output(stream)


def discard_output(stream: TextIO) -> None:
    """Send what a stream has not written yet, and all that follows, to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
