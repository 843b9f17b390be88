"""A step of `up`, as data: `--dry-run`, `up` and `status` read the same list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from devstack.errors import DevstackError
from devstack.kube.api_errors import ServerFaultError, UnreachableError
from devstack.progress import Progress
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

ANSWER_SECONDS = 60.0
"""How long a step is tried again while the API server cannot answer.

One that has just started says that it is ready, and may yet refuse for a moment
or be started once more.
"""

_Result = TypeVar("_Result")


def _nothing() -> list[str]:
    return []


@dataclass(frozen=True)
class Step:
    """Something that must hold of a stack.

    Attributes:
        name: short and stable, for JSON.
        title: what a person reads.
        is_done: returns True if there is nothing to do; changes nothing.
        ensure: makes it hold; safe to call again after an interruption.
        commands: what ``ensure`` would do, for ``--dry-run``.
        needs_api: True where it asks the cluster's API, which is up by then.
    """

    name: str
    title: str
    is_done: Callable[[], bool]
    ensure: Callable[[], None]
    commands: Callable[[], list[str]] = _nothing
    needs_api: bool = False


def pending_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that `perform` would have to do, as things are now."""
    return [step for step in steps if not _is_done(step)]


def _is_done(step: Step) -> bool:
    try:
        return step.is_done()
    except DevstackError:
        # It cannot even be asked, as long as a step before it does not hold.
        return False


def run_steps(steps: Sequence[Step], progress: Progress, clock: Clock) -> list[str]:
    """Make every step hold, in order; return the names of those that had to be done.

    Args:
        steps: in the order of their needs.
        progress: told of each step and its state.
        clock: tells the time.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` where the API no longer answers, or from the
            first step that fails; the ones before it hold.
    """
    changed = []
    for step in steps:
        progress.start(step.title)
        try:
            held = _do(step, step.is_done, progress, clock)
            if not held:
                _do(step, step.ensure, progress, clock)
        except BaseException:
            progress.done(step.title, "failed")
            raise
        progress.done(step.title, "unchanged" if held else "done")
        if not held:
            changed.append(step.name)
    return changed


def _do(step: Step, work: Callable[[], _Result], progress: Progress, clock: Clock) -> _Result:
    """Return what ``work`` does; a step may be done again, so a short absence is waited out."""
    if not step.needs_api:
        return work()
    results: list[_Result] = []

    def observe() -> Observation:
        try:
            results.append(work())
        except (ServerFaultError, UnreachableError) as fault:
            return Waiting(str(fault))
        return Ready()

    wait_until(
        observe,
        what=f"the Kubernetes API to answer ({step.title})",
        timeout=ANSWER_SECONDS,
        clock=clock,
        note=progress.note,
    )
    return results[0]
