"""Names in messages: of tasks, which may be many, and of what the user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from devstack.errors import DevstackError, ExitStatus

MAX_SHOWN = 8
"""Number of tasks that a message names; a foreach may have thousands."""


def shown(texts: Sequence[str]) -> str:
    """Return the first texts in one line, and the number of the others."""
    more = len(texts) - MAX_SHOWN
    return ", ".join([*texts[:MAX_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question with the names that resemble one that is unknown; empty if none does."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"did you mean {' or '.join(close)}? " if close else ""


def unknown_task(name: str, tasks: Sequence[str]) -> DevstackError:
    """Return the error for a task that a run does not have; ``tasks`` are those that it has."""
    return DevstackError(
        f"the run has no task {name!r}",
        cause=f"it has {shown(tasks) or 'none'}",
        remedy="name one of these, or none to see all",
        code="TASK_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
