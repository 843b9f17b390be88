"""Reporting what happens: steps, what a slow step is doing, and work that runs in parallel.

Commands pass a :class:`Progress` down.  What it looks like (a live display, plain
lines, nothing with ``--json``) is decided in devstack/cli/display.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a command."""

    def start(self, title: str) -> None:
        """A step begins; steps may contain steps."""
        ...

    def note(self, text: str) -> None:
        """What the innermost step is doing now."""
        ...

    def line(self, text: str) -> None:
        """A line that a flow printed."""
        ...

    def done(self, title: str, state: str = "done") -> None:
        """The innermost step ended; ``state`` is "done", "unchanged", "skipped" or "failed"."""
        ...

    def warn(self, text: str) -> None:
        """Something that the user should know, although nothing failed."""
        ...

    def branch(self, title: str) -> Progress:
        """Return the progress of work that will run in parallel, in one thread of its own."""
        ...


class Silent:
    """Reports nothing: for ``--json`` and for tests."""

    def start(self, title: str) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def line(self, text: str) -> None:
        """Ignore it."""

    def done(self, title: str, state: str = "done") -> None:
        """Ignore it."""

    def warn(self, text: str) -> None:
        """Ignore it."""

    def branch(self, title: str) -> Silent:
        """Return itself."""
        return self

    def close(self) -> None:
        """Do nothing: nothing is displayed."""


@contextmanager
def step(progress: Progress, title: str) -> Iterator[None]:
    """Report ``title`` as started, then as done, or as failed if the body raises."""
    progress.start(title)
    try:
        yield
    except BaseException:
        progress.done(title, "failed")
        raise
    progress.done(title)
