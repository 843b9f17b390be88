"""A step of `up` as data; `--dry-run`, `up` and `down` share one list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from devstack.errors import DevstackError
from devstack.kube.api_errors import ServerFaultError, UnreachableError
from devstack.progress import Progress
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until

API_TIMEOUT = 60.0
"""Seconds for which a step is retried while the API server does not respond.

One that has just started may report that it is ready and still fail for a
moment, or be restarted once more.
"""

_Result = TypeVar("_Result")


def _no_commands() -> list[str]:
    return []


@dataclass(frozen=True)
class Undo:
    """How `down` undoes a step.

    Attributes:
        title: for people.
        run: undoes the step if it was done, even in part; its argument is True
            if the stack's data is to be kept.
    """

    title: str
    run: Callable[[bool], None]


@dataclass(frozen=True)
class Step:
    """Something that `up` ensures.

    Attributes:
        name: short and stable, for JSON.
        title: for people.
        is_done: returns True if there is nothing to do; changes nothing.
        ensure: does it; idempotent, also after an interruption.
        commands: what ``ensure`` would do, for ``--dry-run``.
        needs_api: True if it uses the cluster's API, which responds by then.
        undo: how `down` undoes it; None if another step's undo covers it.
    """

    name: str
    title: str
    is_done: Callable[[], bool]
    ensure: Callable[[], None]
    commands: Callable[[], list[str]] = _no_commands
    needs_api: bool = False
    undo: Undo | None = None


def pending_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that :func:`run_steps` would perform now."""
    return [step for step in steps if not _is_done(step)]


def _is_done(step: Step) -> bool:
    try:
        return step.is_done()
    except DevstackError:
        # It cannot be determined before an earlier step is done.
        return False


def run_steps(steps: Sequence[Step], progress: Progress, clock: Clock) -> list[str]:
    """Ensure every step in order; return the names of those that were not done before.

    Args:
        steps: in order of dependency.
        progress: displays each step and its state.
        clock: measures the timeout.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` if the API no longer responds, or the error
            of the first step that fails; the earlier ones are done.
    """
    changed = []
    for step in steps:
        progress.start(step.title)
        try:
            done = _call(step, step.is_done, progress, clock)
            if not done:
                _call(step, step.ensure, progress, clock)
        except BaseException:
            progress.done(step.title, "failed")
            raise
        progress.done(step.title, "unchanged" if done else "done")
        if not done:
            changed.append(step.name)
    return changed


def _call(step: Step, function: Callable[[], _Result], progress: Progress, clock: Clock) -> _Result:
    """Return the result of an idempotent function, retried while the API does not respond."""
    if not step.needs_api:
        return function()
    results: list[_Result] = []

    def observe() -> Observation:
        try:
            results.append(function())
        except (ServerFaultError, UnreachableError) as fault:
            return Waiting(str(fault))
        return Ready()

    wait_until(
        observe,
        what=f"the Kubernetes API to respond ({step.title})",
        timeout=API_TIMEOUT,
        clock=clock,
        note=progress.note,
    )
    return results[0]
