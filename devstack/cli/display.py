"""How progress looks: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from devstack.progress import Progress, Silent

if TYPE_CHECKING:
    from devstack.cli.output import Output

MARKS = {"done": "✓", "unchanged": "=", "skipped": "-", "failed": "✗"}
QUIET_SECONDS = 10.0
"""A plain display repeats a changed note at most this often."""


def choose_display(output: Output) -> Progress:
    """Return the display for this command: silent under ``--json``."""
    if output.as_json:
        return Silent()
    if output.verbose or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainDisplay(QUIET_SECONDS if not output.verbose else 0.0)
    return LiveDisplay()


class PlainDisplay:
    """One line when a step begins to be slow, one when it ends; for logs and CI.

    Args:
        quiet: seconds between two notes of the same step.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._began = self._spoke = time.monotonic()
        self._title = ""

    def start(self, title: str) -> None:
        """Remember when the step began."""
        self._title = title
        self._began = self._spoke = time.monotonic()

    def note(self, text: str) -> None:
        """Print what goes on, unless something was printed a moment ago."""
        now = time.monotonic()
        if now - self._spoke >= self._quiet:
            self._spoke = now
            _say(f"    {self._title}: {text} ({now - self._began:.0f} s)")

    def done(self, title: str, state: str = "done") -> None:
        """Print the step with its state and time."""
        _say(_line(title, state, time.monotonic() - self._began))

    def warn(self, text: str) -> None:
        """Print a warning."""
        _say(f"  ! {text}")


class LiveDisplay:
    """A spinner with the running step's note and time; ended steps stay above it."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status: Any = None
        self._title = ""
        self._began = time.monotonic()

    def start(self, title: str) -> None:
        """Show the spinner."""
        self._title, self._began = title, time.monotonic()
        self._show("")

    def note(self, text: str) -> None:
        """Show what the step is doing now, behind its title."""
        self._show(text)

    def done(self, title: str, state: str = "done") -> None:
        """Leave one line in place of the spinner."""
        self._stop()
        colour = {"failed": "red", "done": "green"}.get(state, "dim")
        seconds = time.monotonic() - self._began
        self._console.print(f"[{colour}]{_escape(_line(title, state, seconds))}[/]")

    def warn(self, text: str) -> None:
        """Print a warning above the spinner."""
        self._console.print(f"[yellow]  ! {_escape(text)}[/]")

    def _show(self, note: str) -> None:
        from devstack.cli.spinner import Spinner

        if self._status is None:
            self._status = Spinner(self._console)
        self._status.update(self._title, note, self._began)

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _line(title: str, state: str, seconds: float) -> str:
    ending = "" if state == "done" else f"  {state}"
    return f"  {MARKS[state]} {title:<46} {seconds:6.1f} s{ending}"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
