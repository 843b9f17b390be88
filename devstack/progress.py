"""Telling a person what happens: steps, and what a slow step is doing now.

The commands pass a :class:`Progress` down; how it looks (a live display, plain
lines, nothing under ``--json``) is decided in devstack/cli.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Where steps report to."""

    def start(self, title: str) -> None:
        """A step begins."""
        ...

    def note(self, text: str) -> None:
        """What the current step is doing now."""
        ...

    def done(self, title: str, state: str = "done") -> None:
        """The step ended; ``state`` is "done", "unchanged", "skipped" or "failed"."""
        ...

    def warn(self, text: str) -> None:
        """Something the user should know, though nothing failed."""
        ...


class Silent:
    """Reports nothing: for ``--json`` and for tests."""

    def start(self, title: str) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def done(self, title: str, state: str = "done") -> None:
        """Ignore it."""

    def warn(self, text: str) -> None:
        """Ignore it."""


@contextmanager
def step(progress: Progress, title: str) -> Iterator[None]:
    """Report ``title`` as started, then as done, or as failed where it raises."""
    progress.start(title)
    try:
        yield
    except BaseException:
        progress.done(title, "failed")
        raise
    progress.done(title)
