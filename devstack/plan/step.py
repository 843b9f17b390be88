"""A step of `up`, as data: `--dry-run`, `up` and `status` read the same list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devstack.errors import DevstackError
from devstack.progress import Progress


def _nothing() -> list[str]:
    return []


@dataclass(frozen=True)
class Step:
    """Something that must hold of a stack.

    Attributes:
        name: short and stable, for JSON.
        title: what a person reads.
        holds: looks, without changing anything, whether it holds already.
        ensure: makes it hold; safe to call again after an interruption.
        commands: what ``ensure`` would do, for ``--dry-run``.
    """

    name: str
    title: str
    holds: Callable[[], bool]
    ensure: Callable[[], None]
    commands: Callable[[], list[str]] = _nothing


def foresee(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that `perform` would have to do, as things are now."""
    return [step for step in steps if not _holds_already(step)]


def _holds_already(step: Step) -> bool:
    try:
        return step.holds()
    except DevstackError:
        # It cannot even be asked, as long as a step before it does not hold.
        return False


def perform(steps: Sequence[Step], progress: Progress) -> list[str]:
    """Make every step hold, in order; return the names of those that had to be done.

    Args:
        steps: in the order of their needs.
        progress: told of each step and its state.

    Raises:
        DevstackError: from the first step that fails; the ones before it hold.
    """
    changed = []
    for step in steps:
        progress.start(step.title)
        try:
            held = step.holds()
            if not held:
                step.ensure()
        except BaseException:
            progress.done(step.title, "failed")
            raise
        progress.done(step.title, "unchanged" if held else "done")
        if not held:
            changed.append(step.name)
    return changed
