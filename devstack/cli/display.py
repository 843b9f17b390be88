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


class Running:
    """The steps under way: a slow one, such as getting the images, has steps of its own."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, float]] = []

    def begin(self, title: str) -> None:
        """Remember when a step began."""
        self._steps.append((title, time.monotonic()))

    def end(self, title: str, state: str) -> str:
        """Forget the innermost step; return the line that says how it ended."""
        _, began = self._steps.pop() if self._steps else (title, time.monotonic())
        indent = "  " * len(self._steps)
        ending = "" if state == "done" else f"  {state}"
        seconds = time.monotonic() - began
        width = 46 - len(indent)
        return f"  {indent}{MARKS[state]} {title:<{width}} {seconds:6.1f} s{ending}"

    @property
    def innermost(self) -> tuple[str, float] | None:
        """The title of the step at work, and when it began in seconds; None where none is."""
        return self._steps[-1] if self._steps else None


class PlainDisplay:
    """One line when a step begins to be slow, one when it ends; for logs and CI.

    Args:
        quiet: seconds between two notes.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._spoke = time.monotonic()
        self._running = Running()

    def start(self, title: str) -> None:
        """Remember when the step began."""
        self._running.begin(title)
        self._spoke = time.monotonic()

    def note(self, text: str) -> None:
        """Print what goes on, unless something was printed a moment ago."""
        now = time.monotonic()
        step = self._running.innermost
        if step and now - self._spoke >= self._quiet:
            self._spoke = now
            _say(f"    {step[0]}: {text} ({now - step[1]:.0f} s)")

    def done(self, title: str, state: str = "done") -> None:
        """Print the step with its state and time."""
        _say(self._running.end(title, state))

    def warn(self, text: str) -> None:
        """Print a warning."""
        _say(f"  ! {text}")


class LiveDisplay:
    """A spinner with the running step's note and time; ended steps stay above it."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._spinner: Any = None
        self._running = Running()

    def start(self, title: str) -> None:
        """Show the spinner."""
        self._running.begin(title)
        self._show("")

    def note(self, text: str) -> None:
        """Show what the step is doing now, behind its title."""
        self._show(text)

    def done(self, title: str, state: str = "done") -> None:
        """Leave one line in place of the spinner, and go back to the step around it."""
        self._stop()
        colour = {"failed": "red", "done": "green"}.get(state, "dim")
        self._console.print(f"[{colour}]{_escape(self._running.end(title, state))}[/]")
        self._show("")

    def warn(self, text: str) -> None:
        """Print a warning above the spinner."""
        self._console.print(f"[yellow]  ! {_escape(text)}[/]")

    def _show(self, note: str) -> None:
        from devstack.cli.spinner import Spinner

        step = self._running.innermost
        if step is None:
            return
        if self._spinner is None:
            self._spinner = Spinner(self._console)
        self._spinner.update(step[0], note, step[1])

    def _stop(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
